# Every bench/bench_NAME.c is a program of its own; they are not installed and not run by the tests.
file(GLOB BENCHES CONFIGURE_DEPENDS bench/bench_*.c)
foreach(source ${BENCHES})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE src include bench)
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
  target_link_libraries(${name} PRIVATE blip2_internal)
endforeach()
