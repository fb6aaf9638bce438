# Where things go: programs, plugins, the header, pkg-config, man pages, completions, service files.
include(GNUInstallDirs)

if(TARGET cowherd)
  install(TARGETS cowherd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET cowherd-init)
  install(TARGETS cowherd-init RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/cowherd)
endif()
foreach(plugin lcow storage net)
  if(TARGET ${plugin})
    install(TARGETS ${plugin} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/cowherd)
  endif()
endforeach()

install(DIRECTORY core/include/cowherd DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
file(RELATIVE_PATH COW_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/cowherd.pc.in cowherd.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/cowherd.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The installed example has no build tree beside it: its root filesystem is a directory beside the file.
file(READ config/example.json example)
string(REPLACE "../build/rootfs" "rootfs" example "${example}")
file(WRITE ${CMAKE_BINARY_DIR}/example.json "${example}")
install(FILES ${CMAKE_BINARY_DIR}/example.json config/cowherd.schema.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/cowherd)
install(PROGRAMS config/rootfs.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/cowherd)
install(DIRECTORY config/plugin-template DESTINATION ${CMAKE_INSTALL_DATADIR}/cowherd)
# Where the programs will be is known at installation only: a package has another prefix than `cmake --install`.
install(CODE "set(bin \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  configure_file(${CMAKE_SOURCE_DIR}/config/cowherd.service.in ${CMAKE_BINARY_DIR}/cowherd.service @ONLY)")
install(FILES ${CMAKE_BINARY_DIR}/cowherd.service DESTINATION lib/systemd/system)

file(GLOB pages docs/*.md)
install(FILES README.md ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

# Man pages and completions come from the program's own option table.
if(TARGET cowherd)
  set(man ${CMAKE_BINARY_DIR}/man)
  add_custom_command(OUTPUT ${man}/cowherd.1 ${CMAKE_BINARY_DIR}/cowherd.bash
    COMMAND ${CMAKE_COMMAND} -E make_directory ${man}
    COMMAND sh ${CMAKE_SOURCE_DIR}/cmake/man.sh $<TARGET_FILE:cowherd> ${man}
    COMMAND $<TARGET_FILE:cowherd> completion bash > ${CMAKE_BINARY_DIR}/cowherd.bash
    DEPENDS cowherd ${CMAKE_SOURCE_DIR}/cmake/man.sh VERBATIM)
  add_custom_target(man ALL DEPENDS ${man}/cowherd.1 ${CMAKE_BINARY_DIR}/cowherd.bash)
  install(DIRECTORY ${man}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${CMAKE_BINARY_DIR}/cowherd.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME cowherd)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cowherd)
set(CPACK_PACKAGE_CONTACT "The cowherd authors <cowherd@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libldns3, libnftables1") # loaded when they are needed
set(CPACK_DEBIAN_PACKAGE_SUGGESTS busybox-static)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
include(CPack)
