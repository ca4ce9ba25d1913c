# libblip2, static and shared, with nothing visible but blip2_*.
# The others are named by their own .pc files.
set(BLIP2_PC_LIBS "-lgif -pthread -lm")

add_library(blip2_shared SHARED $<TARGET_OBJECTS:blip2_core> ${ISA_OBJECTS})
set_target_properties(blip2_shared PROPERTIES OUTPUT_NAME blip2 VERSION ${PROJECT_VERSION} SOVERSION 0)
target_link_libraries(blip2_shared PRIVATE ${BLIP2_LIBS})

# Static: link all objects to one and make every hidden symbol local, so that a program which links
# libblip2.a cannot clash with (or reach) our internal names.
set(ONE ${CMAKE_BINARY_DIR}/blip2_one.o)
add_custom_command(OUTPUT ${ONE}
  COMMAND ${CMAKE_LINKER} -r -o ${ONE} $<TARGET_OBJECTS:blip2_core> ${ISA_OBJECTS}
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${ONE}
  DEPENDS blip2_core ${ISA_OBJECTS} $<TARGET_OBJECTS:blip2_core>
  COMMAND_EXPAND_LISTS VERBATIM)
add_library(blip2_static STATIC ${ONE})
set_source_files_properties(${ONE} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
set_target_properties(blip2_static PROPERTIES OUTPUT_NAME blip2 LINKER_LANGUAGE C)
target_include_directories(blip2_static PUBLIC include)
target_link_libraries(blip2_static PUBLIC ${BLIP2_LIBS})

# The .pc file finds its folders from where it lies itself, so that an installation may be moved.
set(BLIP2_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
set(BLIP2_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
set(BLIP2_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  file(RELATIVE_PATH up "/x/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/x")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(BLIP2_PC_PREFIX "\${pcfiledir}/${up}")
  set(BLIP2_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(BLIP2_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/blip2.pc.in blip2.pc @ONLY)
install(TARGETS blip2_shared blip2_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/blip2.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/blip2.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/blip2/configs)
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/blip2/models)
