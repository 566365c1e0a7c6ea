# The dashboard's files become part of the admin folder's library; no step on the user's machine.
function(weir_embed_page)
  find_program(GZIP_PROGRAM gzip REQUIRED)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/admin/page/*.html
       ${CMAKE_CURRENT_SOURCE_DIR}/src/admin/page/*.css ${CMAKE_CURRENT_SOURCE_DIR}/src/admin/page/*.js
       ${CMAKE_CURRENT_SOURCE_DIR}/src/admin/page/*.svg)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/admin_page_files.cc)
  set(script ${CMAKE_CURRENT_SOURCE_DIR}/cmake/EmbedPage.cmake)
  string(REPLACE ";" "," listed "${files}")
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFILES=${listed} -DGZIP=${GZIP_PROGRAM} -P ${script}
    DEPENDS ${files} ${script}
    COMMENT "Embedding the dashboard" VERBATIM)
  target_sources(weir_admin PRIVATE ${out})
endfunction()
