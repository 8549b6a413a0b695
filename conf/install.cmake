# What `cmake --install` does with files that name their own places: worked out at install time, since
# --prefix may say another place than the build was configured for. As GNU's conventions have it, the
# settings of what is in /usr are in /etc.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(sysconfdir "/etc")
else()
    set(sysconfdir "${CMAKE_INSTALL_PREFIX}/etc")
endif()
set(bindir "${CMAKE_INSTALL_PREFIX}/${SEGUE_BINDIR}")
set(docdir "${CMAKE_INSTALL_PREFIX}/${SEGUE_DOCDIR}")

file(INSTALL "${SEGUE_SOURCE}/conf/segue.conf" DESTINATION "${sysconfdir}/segue"
    RENAME segue.conf.example)
configure_file("${SEGUE_SOURCE}/conf/segue.service.in" "${SEGUE_BUILD}/segue.service" @ONLY)
# In lib/ whatever the libraries' directory is called: systemd looks there.
file(INSTALL "${SEGUE_BUILD}/segue.service" "${SEGUE_SOURCE}/conf/segue.socket"
    DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
