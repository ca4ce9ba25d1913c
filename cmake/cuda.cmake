# libblip2-cuda.so: the CUDA backend, a module that the library loads when a card is asked for. It has its own copy of the
# little that it needs of the library, and shows one symbol.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90) # the last one also as PTX, for what comes after
endif()
enable_language(CUDA)
file(GLOB CUDA_SOURCES CONFIGURE_DEPENDS src/cuda/module/*.c src/cuda/module/*.cu)
add_library(blip2_cuda MODULE ${CUDA_SOURCES} src/base/error.c src/tensor/dtype.c)
target_include_directories(blip2_cuda PRIVATE src ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_compile_definitions(blip2_cuda PRIVATE BLIP2_VERSION="${PROJECT_VERSION}")
set_target_properties(blip2_cuda PROPERTIES OUTPUT_NAME blip2-cuda
  CUDA_STANDARD 17 CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden
  LINKER_LANGUAGE CUDA)
# The directory's flags are for C alone. -fmad=false: as -ffp-contract=off.
set_property(TARGET blip2_cuda PROPERTY COMPILE_OPTIONS
  $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wno-unknown-pragmas>
  $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;-lineinfo;-Xcompiler=-Wall>)
install(TARGETS blip2_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
