# The AVX-512 sets on a CPU that lacks them: their kernels are compiled against tests/emulate/avx512.h, and the unit
# tests that run kernels are linked with these, and with a cpu/isa.c that lists them, before the library: the linker
# takes no object of the same names from there. `cmake --build build -t emulated`, then `ctest -L emulated`.
set(EMULATED_SETS avx512 avx512bf16)
set(EMULATE_FLAGS -O1 ${ISA_avx2} -Wno-psabi "SHELL:-include ${CMAKE_SOURCE_DIR}/tests/emulate/avx512.h")
set(EMULATED_OBJECTS "")
foreach(isa ${EMULATED_SETS})
  add_library(emulated_${isa} OBJECT EXCLUDE_FROM_ALL ${CPU_KERNELS} tests/unit/vec_cases.c)
  target_include_directories(emulated_${isa} PRIVATE tests/unit include src)
  target_compile_definitions(emulated_${isa} PRIVATE ISA=${isa} ISA_${isa}=1)
  target_compile_options(emulated_${isa} PRIVATE ${EMULATE_FLAGS})
  list(APPEND EMULATED_OBJECTS $<TARGET_OBJECTS:emulated_${isa}>)
endforeach()
# avx2 is left out: the CPU has it, and the tests proper ran it.
add_library(emulated_choice OBJECT EXCLUDE_FROM_ALL src/cpu/isa.c tests/emulate/choice.c)
target_include_directories(emulated_choice PRIVATE include src)
target_compile_definitions(emulated_choice PRIVATE EMULATED_ISA=1 HAVE_ISA_avx512=1 HAVE_ISA_avx512bf16=1)

set(EMULATED_TESTS test_cpu_vec test_cpu_linear test_cpu_panels test_cpu_attention test_cpu_rows test_cpu_select
    test_cpu_back test_ops test_golden test_golden_t5 test_golden_itm test_golden_caption test_golden_vitl
    test_packed_logits)
add_custom_target(emulated)

# emulated_test(NAME SOURCES...): one program and one test.
function(emulated_test name)
  add_executable(emulated_${name} EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(emulated_${name} PRIVATE tests/unit src include)
  target_compile_definitions(emulated_${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}" HAVE_ISA_avx512=1 HAVE_ISA_avx512bf16=1)
  target_compile_options(emulated_${name} PRIVATE -Wno-missing-prototypes)
  target_link_libraries(emulated_${name} PRIVATE fenced vec_cases blip2_internal PkgConfig::CMOCKA)
  add_dependencies(emulated emulated_${name})
  add_test(NAME emulated_${name} COMMAND emulated_${name})
  set_tests_properties(emulated_${name} PROPERTIES TIMEOUT 600 LABELS emulated)
endfunction()

foreach(name ${EMULATED_TESTS})
  emulated_test(${name} tests/unit/${name}.c ${EMULATED_OBJECTS} $<TARGET_OBJECTS:emulated_choice>)
endforeach()

# The emulation itself, against the instructions where there are any.
add_library(emulated_cases OBJECT EXCLUDE_FROM_ALL tests/emulate/cases.c)
target_compile_definitions(emulated_cases PRIVATE CASES=cases_emulated)
target_compile_options(emulated_cases PRIVATE ${EMULATE_FLAGS})
add_library(native_cases OBJECT EXCLUDE_FROM_ALL tests/emulate/cases.c)
target_compile_definitions(native_cases PRIVATE CASES=cases_native)
target_compile_options(native_cases PRIVATE ${ISA_avx512bf16})
emulated_test(test_emulate tests/emulate/test_emulate.c $<TARGET_OBJECTS:emulated_cases> $<TARGET_OBJECTS:native_cases>)
