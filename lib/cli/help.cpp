// SPDX-License-Identifier: Apache-2.0
// Help, man page and shell completion, all from the option table.
#include <algorithm>

#include "cli/table.h"

namespace nibble {
namespace {

constexpr size_t kWidth = 92, kColumn = 28;

// Those that every tool has: 1 and 75 are told by the tools that know them.
const std::vector<std::pair<int, std::string>>& common_exit_codes() {
  static const std::vector<std::pair<int, std::string>> codes = {
      {0, "done"},
      {64, "wrong usage"},
      {65, "bad data"},
      {66, "an input is missing"},
      {69, "no such device or feature"},
      {70, "a bug in nibble"},
      {71, "out of memory or threads"},
      {73, "an output cannot be created"},
      {74, "reading or writing failed"}};
  return codes;
}

constexpr std::string_view kSignals = "ended by signal n; 141: the reader of a pipe has gone";

// The common codes, with a tool's own words where it has them.
std::vector<std::pair<int, std::string>> exit_codes(const ToolInfo& info) {
  auto codes = common_exit_codes();
  for (const auto& own : info.exit_codes) {
    const auto at = std::find_if(codes.begin(), codes.end(),
                                 [&](const auto& c) { return c.first == own.first; });
    if (at != codes.end())
      at->second = own.second;
    else
      codes.push_back(own);
  }
  std::sort(codes.begin(), codes.end());
  return codes;
}

// Appends words wrapped to kWidth, continuation lines indented.
void wrap(std::string& out, std::string_view text, size_t indent, size_t column) {
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      ++at;
      continue;
    }
    const size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (column > indent && column + (end - at) + 1 > kWidth) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(at, end - at);
    column += end - at;
    at = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  out += '\n';
}

std::string help_words(const OptionTable::Entry& e) {
  std::string words = e.help;
  if (!e.choices.empty()) {
    // A long list may be broken between lines.
    size_t length = 0;
    for (const std::string& c : e.choices) length += c.size() + 1;
    const std::string bar = length > 60 ? " | " : "|";
    words += " (";
    for (const std::string& c : e.choices) words += (&c == e.choices.data() ? "" : bar) + c;
    words += ")";
  }
  if (!e.is_flag && !e.is_positional && !e.default_text.empty())
    words += cat(" [", e.default_text, "]");
  if (e.is_flag && e.is_negatable)
    words += e.default_text == "true"    ? " [on]"
             : e.default_text == "false" ? " [off]"
                                         : cat(" [", e.default_text, "]");
  return words;
}

std::vector<std::string> groups_of(const OptionTable& table) {
  std::vector<std::string> groups;
  for (const auto& e : table.impl().entries)
    if (!e->is_hidden && !e->is_positional &&
        std::find(groups.begin(), groups.end(), e->group) == groups.end())
      groups.push_back(e->group);
  return groups;
}

// roff: a backslash and a leading dot or quote are special, a hyphen in an option is a minus.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

}  // namespace

std::string version_text(const ToolInfo& info) {
  return cat(info.name, " ", NIBBLE_VERSION, "\n");
}

std::string help_text(const OptionTable& table, const ToolInfo& info) {
  std::string out = cat("Usage: ", info.name, " ", info.synopsis, "\n");
  wrap(out, info.summary + ".", 0, 0);
  if (!info.description.empty()) {
    out += '\n';
    wrap(out, info.description, 0, 0);
  }
  const auto row = [&](const OptionTable::Entry& e) {
    std::string label = e.letter ? cat("  -", e.letter, ", ") : "  ";
    label += e.label();
    out += label;
    if (label.size() + 2 > kColumn) {
      out += '\n';
      out.append(kColumn, ' ');
    } else {
      out.append(kColumn - label.size(), ' ');
    }
    wrap(out, help_words(e), kColumn, kColumn);
  };
  bool any = false;
  for (const auto& e : table.impl().entries)
    if (e->is_positional) {
      if (!any) out += "\nArguments:\n";
      any = true;
      row(*e);
    }
  for (const std::string& group : groups_of(table)) {
    out += cat("\n", group, ":\n");
    for (const auto& e : table.impl().entries)
      if (!e->is_positional && !e->is_hidden && e->group == group) row(*e);
  }
  if (!info.examples.empty()) out += "\nExamples:\n";
  for (const auto& [command, what] : info.examples) {
    out += cat("  ", command, "\n      ");
    wrap(out, what, 6, 6);
  }
  out += "\nExit codes:\n ";
  std::string codes;
  for (const auto& [code, what] : exit_codes(info)) codes += cat(code, " ", what, ", ");
  codes += cat("128+n ", kSignals);
  out += ' ';
  wrap(out, codes, 2, 2);
  return out;
}

std::string man_page(const OptionTable& table, const ToolInfo& info) {
  std::string upper = info.name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  std::string out =
      cat(".TH ", upper, " 1 \"\" \"nibble ", NIBBLE_VERSION, "\" \"User Commands\"\n");
  out += cat(".SH NAME\n", roff(info.name), " \\- ", roff(info.summary), "\n.SH SYNOPSIS\n.B ",
             roff(info.name), "\n", roff(info.synopsis), "\n");
  if (!info.description.empty()) out += cat(".SH DESCRIPTION\n", roff(info.description), "\n");
  const auto row = [&](const OptionTable::Entry& e) {
    const std::string letter = e.letter ? cat("-", e.letter, ", ") : "";
    out += cat(".TP\n.B ", roff(letter + e.label()), "\n", roff(help_words(e)), "\n");
  };
  out += ".SH OPTIONS\n";
  for (const auto& e : table.impl().entries)
    if (e->is_positional) row(*e);
  for (const std::string& group : groups_of(table)) {
    out += cat(".SS ", roff(group), "\n");
    for (const auto& e : table.impl().entries)
      if (!e->is_positional && !e->is_hidden && e->group == group) row(*e);
  }
  if (!info.examples.empty()) out += ".SH EXAMPLES\n";
  for (const auto& [command, what] : info.examples)
    out += cat(".TP\n.B ", roff(command), "\n", roff(what), "\n");
  out += ".SH EXIT STATUS\n";
  for (const auto& [code, what] : exit_codes(info))
    out += cat(".TP\n.B ", code, "\n", roff(what), "\n");
  out += cat(".TP\n.B 128+n\n", kSignals, "\n");
  return out;
}

std::string bash_completion(const OptionTable& table, const ToolInfo& info) {
  std::string words, cases;
  for (const auto& e : table.impl().entries) {
    if (e->is_positional || e->is_hidden) continue;
    words += cat(" --", e->name, e->is_flag ? "" : "=");
    if (e->is_negatable) words += cat(" --no-", e->name);
    if (e->choices.empty()) continue;
    std::string values;
    for (const std::string& c : e->choices) values += (values.empty() ? "" : " ") + c;
    cases += cat("    --", e->name, ") COMPREPLY=($(compgen -W '", values,
                 "' -- \"$cur\")); return ;;\n");
  }
  std::string function = "_" + info.name;
  std::replace(function.begin(), function.end(), '-', '_');
  return cat(
      function, "() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n",
      "  if [ \"$cur\" = = ]; then cur=; elif [ \"$prev\" = = ]; then ",
      "prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n  case $prev in\n", cases,
      "  esac\n  case $cur in\n    -*) COMPREPLY=($(compgen -W '",
      words.substr(words.empty() ? 0 : 1),
      "' -- \"$cur\")); [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace ;;\n",
      "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n  esac\n}\ncomplete -o filenames -F ",
      function, " ", info.name, "\n");
}

}  // namespace nibble
