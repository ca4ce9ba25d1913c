# The device whose memory the host cannot touch; a test that does not name it does not get it.
# card: kernels of a card on the host's memory.
add_library(fenced STATIC tests/unit/fenced.c tests/unit/card.c)
target_include_directories(fenced PRIVATE tests/unit src include)
target_link_libraries(fenced PRIVATE blip2_internal)

# Every tests/unit/test_NAME.c is one cmocka program and one ctest of the same name.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
file(GLOB UNIT_TESTS CONFIGURE_DEPENDS tests/unit/test_*.c)
foreach(source ${UNIT_TESTS})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE tests/unit src include)
  target_compile_definitions(${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
  target_link_libraries(${name} PRIVATE fenced blip2_internal PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endforeach()

# The vocabulary of cpu/vec.h, once per instruction set.
set(VEC_OBJECTS "")
foreach(isa ${ISA_LIST})
  add_library(vec_${isa} OBJECT tests/unit/vec_cases.c)
  target_include_directories(vec_${isa} PRIVATE tests/unit src include)
  target_compile_definitions(vec_${isa} PRIVATE ISA=${isa} ISA_${isa}=1)
  target_compile_options(vec_${isa} PRIVATE ${ISA_${isa}})
  target_compile_definitions(test_cpu_vec PRIVATE HAVE_ISA_${isa}=1)
  list(APPEND VEC_OBJECTS $<TARGET_OBJECTS:vec_${isa}>)
endforeach()
add_library(vec_cases STATIC ${VEC_OBJECTS})
target_link_libraries(test_cpu_vec PRIVATE vec_cases)

# What shows text on a terminal, without the command around it.
add_library(cli_internal STATIC $<TARGET_OBJECTS:blip2_cli>)
target_link_libraries(cli_internal PUBLIC blip2_cli)
target_include_directories(test_cli_stream PRIVATE cli)
target_link_libraries(test_cli_stream PRIVATE cli_internal)

# Loads the shared library at run time, and unloads it.
add_dependencies(test_api_process blip2_shared)
target_compile_definitions(test_api_process PRIVATE SHARED_LIBRARY="$<TARGET_FILE:blip2_shared>")
target_link_libraries(test_api_process PRIVATE ${CMAKE_DL_LIBS})

# The example, against the shared library as a stranger would link it.
add_executable(example_caption examples/caption.c)
target_include_directories(example_caption PRIVATE include)
target_link_libraries(example_caption PRIVATE blip2_shared)
add_test(NAME example_caption COMMAND example_caption
         ${CMAKE_SOURCE_DIR}/models/scenes/samples/scene002.png)
set_tests_properties(example_caption PROPERTIES
  PASS_REGULAR_EXPRESSION "scene002.png: a rabbit on a blue background")

# The header in C++, likewise. The library itself needs no C++ compiler.
enable_language(CXX)
add_executable(test_header tests/unit/test_header.cpp)
set_target_properties(test_header PROPERTIES CXX_STANDARD 11 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
# No default flags of the directory: some are for C alone.
set_property(TARGET test_header PROPERTY COMPILE_OPTIONS -Wall -Wextra -pedantic -Werror)
target_include_directories(test_header PRIVATE include)
target_link_libraries(test_header PRIVATE blip2_shared)
add_test(NAME test_header COMMAND test_header
         ${CMAKE_SOURCE_DIR}/models/scenes/samples/scene002.png)

# Nothing but blip2_* may be visible in either library.
add_test(NAME visible_symbols COMMAND sh ${CMAKE_SOURCE_DIR}/tools/check_symbols.sh
         $<TARGET_FILE:blip2_shared> $<TARGET_FILE:blip2_static>)

# Hugging Face's hub on this machine, for test_api_hub and tests/cli/{pull,urls}.bats.
add_executable(hub_server tests/tools/hub_server.c)
target_compile_options(hub_server PRIVATE -Wno-format-nonliteral)
add_dependencies(test_api_hub hub_server)
target_compile_definitions(test_api_hub PRIVATE HUB_SERVER="$<TARGET_FILE:hub_server>")

if(BLIP2_EMULATE AND ISA_avx512bf16)
  include(cmake/emulate.cmake)
endif()
