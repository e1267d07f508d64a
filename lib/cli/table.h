// SPDX-License-Identifier: Apache-2.0
// The option table's rows, shared by the parser, the help and the man page.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "cli/tool.h"

namespace nibble {

struct OptionTable::Entry {
  std::string name;        // without dashes; positionals have none
  char letter = 0;         // short form
  std::string value_name;  // empty: a flag
  std::string help, group, default_text;
  Target target;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices, foreign_names;
  std::string when_bare;
  std::vector<std::string> words;  // what was given, one by one
  bool is_flag = false, is_negatable = false, is_positional = false, is_list = false;
  bool is_required = false, is_output = false, is_hidden = false, bare_allowed = false,
       given = false;

  /// Sets the target from text, checking choices and range; throws UsageError naming the option.
  void assign(const std::string& text);
  /// "--length=N" or "FILE".
  std::string label() const;
};

struct OptionTable::Impl {
  std::string current_group = "Options";
  std::vector<std::unique_ptr<Entry>> entries;
  const Entry* find(std::string_view name) const;
};

/// Parses the command line (and --config) into the table. Throws UsageError.
void parse_command_line(OptionTable& table, const ToolInfo& info, int argc, char** argv);

std::string help_text(const OptionTable& table, const ToolInfo& info);
std::string man_page(const OptionTable& table, const ToolInfo& info);
std::string bash_completion(const OptionTable& table, const ToolInfo& info);
std::string version_text(const ToolInfo& info);

}  // namespace nibble
