// SPDX-License-Identifier: Apache-2.0
// The command line into the option table, by CLI11. CLI11 only splits and matches; values are
// checked by the table, so that the command line and a file of options give the same messages.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/config_file.h"

namespace nibble {
namespace {

// Edit distance, for "did you mean".
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

void add_option(CLI::App& app, OptionTable::Entry& e) {
  std::string names = e.is_positional ? e.value_name : cat("--", e.name);
  if (e.letter) names += cat(",-", e.letter);
  if (e.is_negatable) names += cat(",!--no-", e.name);
  if (e.is_flag) {
    app.add_flag_function(
           names, [&e](std::int64_t count) { e.assign(count > 0 ? "true" : "false"); }, e.help)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    return;
  }
  const auto take = [&e](const CLI::results_t& values) {
    for (const std::string& v : values) e.assign(v.empty() && e.bare_allowed ? e.when_bare : v);
    if (values.empty() && e.bare_allowed) e.assign(e.when_bare);
    return true;
  };
  CLI::Option* option = app.add_option(names, take, e.help);
  if (e.is_list && e.is_positional)
    option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
  else if (e.is_list)
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  else
    option->expected(e.bare_allowed ? 0 : 1, 1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

// The arguments in reverse, as CLI11 takes them. An option whose value may be left out takes one
// only after "=": in "--skip-bad FILE" the file is no value. What stands after "=" is the value
// even where that is nothing: in "--prompt= --raw" CLI11 by itself would take the next word for it.
std::vector<std::string> reversed_arguments(const OptionTable& table, int argc, char** argv) {
  std::vector<std::string> arguments;
  bool options = true;
  for (int i = 1; i < argc; ++i) {
    arguments.emplace_back(argv[i]);
    options &= arguments.back() != "--";
    for (const auto& e : table.impl().entries) {
      if (!options || e->is_positional || e->is_flag) continue;
      const std::string name = "--" + e->name;
      const bool nothing = arguments.back() == name + "=";
      if (e->bare_allowed && (nothing || arguments.back() == name)) {
        arguments.back() = name + "=" + e->when_bare;
      } else if (nothing) {
        arguments.back() = name;
        arguments.emplace_back();
        break;
      }
    }
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

}  // namespace

void unknown_option(const OptionTable& table, const std::string& argument) {
  if (!argument.starts_with("-") || argument == "-")
    throw UsageError(cat("\"", argument, "\": an argument too many; see --help"));
  std::string name = argument.substr(0, argument.find('='));
  name.erase(0, name.find_first_not_of('-'));
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  const OptionTable::Entry* nearest = nullptr;
  size_t best = 3;
  for (const auto& e : table.impl().entries) {
    if (e->is_positional || e->is_hidden) continue;
    for (const std::string& foreign : e->foreign_names)
      if (foreign == dashed)
        throw UsageError(cat("--", name, ": no such option; here it is --", e->name));
    if (const size_t d = dashed == e->name ? 0 : distance(dashed, e->name); d < best) {
      best = d;
      nearest = e.get();
    }
  }
  const std::string shown = argument.substr(0, argument.find('='));
  if (nearest && "--" + nearest->name == shown)  // it stands after "--"
    throw UsageError(cat("\"", argument, "\": an argument too many; see --help"));
  if (nearest)
    throw UsageError(cat(shown, ": no such option; did you mean --", nearest->name, "?"));
  throw UsageError(cat(shown, ": no such option; see --help"));
}

void parse_command_line(OptionTable& table, const ToolInfo& info, int argc, char** argv) {
  CLI::App app(info.summary, info.name);
  app.set_help_flag();
  app.allow_extras();
  for (const auto& e : table.impl().entries) add_option(app, *e);
  try {
    app.parse(reversed_arguments(table, argc, argv));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();  // "--out: 1 required  missing"
    throw UsageError(cat(text.substr(0, text.find(':')), ": its value is missing; see --help"));
  } catch (const CLI::ParseError& error) {
    throw UsageError(cat(error.what(), "; see --help"));
  }
  for (const std::string& extra : app.remaining())
    if (extra != "--") unknown_option(table, extra);
  if (const OptionTable::Entry* config = table.impl().find("config"); config && config->given)
    read_config_file(table, config->words.back());
  for (const auto& e : table.impl().entries)
    if (e->is_required && !e->given) throw UsageError(cat(e->label(), " is required; see --help"));
}

}  // namespace nibble
