# The command. It includes nothing but include/ and its own folder.
file(GLOB CLI_SOURCES CONFIGURE_DEPENDS cli/*.c)
add_library(blip2_cli OBJECT ${CLI_SOURCES})
target_link_libraries(blip2_cli PUBLIC blip2_static PkgConfig::JANSSON)
if(EDIT_FOUND)
  target_compile_definitions(blip2_cli PRIVATE HAVE_LIBEDIT=1)
  target_link_libraries(blip2_cli PUBLIC PkgConfig::EDIT)
endif()
add_executable(blip2 $<TARGET_OBJECTS:blip2_cli>)
target_link_libraries(blip2 PRIVATE blip2_cli)
install(TARGETS blip2 DESTINATION ${CMAKE_INSTALL_BINDIR})

# Man page and completions are written by the command itself, from its tables.
set(GENERATED ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${GENERATED})
add_custom_command(
  OUTPUT ${GENERATED}/blip2.1 ${GENERATED}/blip2.bash ${GENERATED}/_blip2 ${GENERATED}/blip2.fish
  COMMAND blip2 help man > ${GENERATED}/blip2.1
  COMMAND blip2 help completion bash > ${GENERATED}/blip2.bash
  COMMAND blip2 help completion zsh > ${GENERATED}/_blip2
  COMMAND blip2 help completion fish > ${GENERATED}/blip2.fish
  DEPENDS blip2 VERBATIM)
add_custom_target(command_texts ALL DEPENDS ${GENERATED}/blip2.1)
install(FILES ${GENERATED}/blip2.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${GENERATED}/blip2.bash RENAME blip2
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${GENERATED}/_blip2 DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${GENERATED}/blip2.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
