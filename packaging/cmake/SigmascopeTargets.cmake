# SPDX-License-Identifier: GPL-3.0-or-later
# Compile options of every target, and the two functions that declare libraries and tests.

add_library(sigmascope_options INTERFACE)
target_include_directories(sigmascope_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sigmascope_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  # One rounding per operation on every CPU and at every level: results must not depend on contraction.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees uninitialised members in its own AVX-512 and std::optional code, and copies without end in std::string.
  target_compile_options(sigmascope_options INTERFACE -Wno-maybe-uninitialized -Wno-missing-field-initializers
    -Wno-stringop-overflow -Wno-restrict)
endif()
if(SIGMASCOPE_WERROR)
  target_compile_options(sigmascope_options INTERFACE -Werror)
endif()
if(SIGMASCOPE_SANITIZE)
  target_compile_options(sigmascope_options INTERFACE -fsanitize=${SIGMASCOPE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(sigmascope_options INTERFACE -fsanitize=${SIGMASCOPE_SANITIZE})
endif()

# Precompiled headers, one per family of compile options. What nearly every file of the family parses anyway: JSON and
# expected in the core, QtCore in tests, Qt Widgets in the studio. Sources name their includes all the same.
function(sigmascope_pch name)
  cmake_parse_arguments(ARG "" "" "DEPS;HEADERS;DEFINITIONS" ${ARGN})
  if(NOT SIGMASCOPE_PCH)
    return()
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/${name}.cpp CONTENT "// carries a precompiled header\n")
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${name} PRIVATE ${ARG_DEFINITIONS})
  target_link_libraries(${name} PRIVATE sigmascope_options ${ARG_DEPS})
  target_precompile_headers(${name} PRIVATE <algorithm> <filesystem> <functional> <memory> <optional> <span> <string>
    <string_view> <vector> <tl/expected.hpp> <nlohmann/json.hpp> ${ARG_HEADERS})
endfunction()

function(sigmascope_use_pch target pch)
  if(SIGMASCOPE_PCH AND TARGET ${pch})
    target_precompile_headers(${target} REUSE_FROM ${pch})
  endif()
endfunction()

# sigmascope_library(NAME DEPS libs… [PRIVATE_DEPS libs…] SOURCES files… [PLUGINS folders…] [PCH target])
# PLUGINS globs plug-in folders (grids, solvers, writers): adding a file there is not a CMake change.
function(sigmascope_library name)
  cmake_parse_arguments(ARG "" "PCH" "DEPS;PRIVATE_DEPS;SOURCES;PLUGINS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH sigmascope_core_pch)
  endif()
  foreach(folder IN LISTS ARG_PLUGINS)
    file(GLOB plugins CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
    list(APPEND ARG_SOURCES ${plugins})
  endforeach()
  add_library(${name} STATIC ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON UNITY_BUILD "${SIGMASCOPE_UNITY}")
  target_link_libraries(${name} PUBLIC sigmascope_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  sigmascope_use_pch(${name} ${ARG_PCH})
endfunction()

# sigmascope_test(NAME SOURCES files… DEPS libs… [LABELS labels…] [TIMEOUT s])
# One Qt Test executable NAME registered with ctest. QCoreApplication only, unless it links Qt6::Widgets. A target
# tests-LABEL builds all of a label: presets that run some labels only need not build the rest.
function(sigmascope_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  # One call of moc for each file that includes its own output: AUTOMOC would add a scan and an empty file to compile.
  foreach(source IN LISTS ARG_SOURCES)
    get_filename_component(stem ${source} NAME_WE)
    file(STRINGS ${source} included REGEX "^#include \"${stem}\\.moc\"")
    if(included)
      qt_generate_moc(${source} ${CMAKE_CURRENT_BINARY_DIR}/${stem}.moc TARGET ${name})
      target_sources(${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${stem}.moc)
      target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
    endif()
  endforeach()
  target_compile_definitions(${name} PRIVATE
    SIGMASCOPE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SIGMASCOPE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PRIVATE sigmascope_options Qt6::Test ${ARG_DEPS})
  if("sg_ui" IN_LIST ARG_DEPS OR "sg_look" IN_LIST ARG_DEPS)
    sigmascope_use_pch(${name} sigmascope_ui_pch)
  else()
    sigmascope_use_pch(${name} sigmascope_test_pch)
  endif()
  foreach(label IN LISTS ARG_LABELS)
    if(NOT TARGET tests-${label})
      add_custom_target(tests-${label})
    endif()
    add_dependencies(tests-${label} ${name})
  endforeach()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "QT_QPA_PLATFORM=offscreen;OPENBLAS_NUM_THREADS=1")
endfunction()
