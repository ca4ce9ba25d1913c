# Every fuzz/fuzz_NAME.c is one libFuzzer program; configure with clang:
#   CC=clang cmake -B build/fuzz -DBLIP2_FUZZ=ON -DBLIP2_TESTS=OFF -DBLIP2_SANITIZE=address,undefined
file(GLOB FUZZERS CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${FUZZERS})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE src include)
  target_compile_definitions(${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE blip2_internal)
endforeach()
