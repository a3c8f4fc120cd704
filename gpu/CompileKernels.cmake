# SPDX-License-Identifier: GPL-3.0-or-later
# sigmascope_kernels(TARGET files.comp…): each becomes kernels/NAME.spv.inc, a list of 32-bit numbers to be
# included into an array. Vulkan 1.1 SPIR-V, so that older drivers take it.
function(sigmascope_kernels target)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/kernels)
  file(MAKE_DIRECTORY ${folder})
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    set(spirv ${folder}/${name}.spv.inc)
    add_custom_command(OUTPUT ${spirv}
      COMMAND ${Vulkan_GLSLC_EXECUTABLE} --target-env=vulkan1.1 -O -Werror -mfmt=num -MD -MF ${spirv}.d
              ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${spirv}
      DEPENDS ${source} DEPFILE ${spirv}.d COMMENT "Compiling kernel ${name}" VERBATIM)
    target_sources(${target} PRIVATE ${spirv})
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
