// SPDX-License-Identifier: Apache-2.0
#include "cli/config_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/cannot_read.h"

namespace nibble {
namespace {

constexpr size_t kMost = size_t{1} << 20;

// All of a file, which may be a pipe.
std::string text_of_file(const std::string& file) {
  const std::string place = "--config=" + file;
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_cannot_read(place, errno);
  std::string text;
  char part[1 << 12];
  ssize_t got = 0;
  while (text.size() <= kMost &&
         ((got = ::read(fd, part, sizeof part)) > 0 || (got < 0 && errno == EINTR)))
    if (got > 0) text.append(part, static_cast<size_t>(got));
  const int error = errno;
  ::close(fd);
  if (got < 0) throw_cannot_read(place, error);
  if (text.size() > kMost)
    throw UsageError(cat(place, ": is longer than ", kMost >> 20, " MiB; give a file of options"));
  return text;
}

class ConfigFile {
 public:
  ConfigFile(OptionTable& table, std::string file) : table_(table), file_(std::move(file)) {}

  void read() {
    const std::string text = text_of_file(file_);
    try {
      const toml::table given = toml::parse(std::string_view(text));
      for (const auto& [key, node] : given) set(std::string(key.str()), node);
    } catch (const toml::parse_error& error) {
      throw UsageError(cat("--config=", file_, ":", error.source().begin.line, ": not TOML: ",
                           error.description(), "; write NAME = VALUE, text in quotes"));
    }
  }

 private:
  void set(const std::string& key, const toml::node& node) {
    try {
      if (key == "config") throw UsageError("--config: stands in no such file; leave it out");
      const bool negated = key.starts_with("no-");
      OptionTable::Entry* e = find(key);
      if (!e && negated) e = find(key.substr(3));
      if (!e || (negated && e->name != key && !e->is_negatable)) unknown_option(table_, "--" + key);
      if (node.is_table())
        throw UsageError(cat("--", key, ": is a section here; options stand in none"));
      if (e->given) return;  // by the command line, which is stronger
      const bool inverted = negated && e->name != key;
      if (e->is_flag) return e->assign(truth(key, node) != inverted ? "true" : "false");
      if (const auto bare = node.value_exact<bool>(); bare && e->bare_allowed)
        return *bare ? e->assign(e->when_bare) : void();
      const toml::array* list = node.as_array();
      if (!list) return e->assign(word(key, node));
      if (list->empty()) throw UsageError(cat("--", key, ": its value is empty; leave it out"));
      std::string joined;
      for (const toml::node& item : *list)
        if (e->is_list)
          e->assign(word(key, item));
        else
          joined += cat(joined.empty() ? "" : ",", word(key, item));
      if (!e->is_list) e->assign(joined);
    } catch (const UsageError& error) {
      throw UsageError(cat("--config=", file_, ":", node.source().begin.line, ": ", error.what()));
    }
  }

  OptionTable::Entry* find(std::string_view name) const {
    for (const auto& e : table_.impl().entries)
      if (!e->is_positional && e->name == name) return e.get();
    return nullptr;
  }

  static bool truth(const std::string& key, const toml::node& node) {
    if (const auto value = node.value_exact<bool>()) return *value;
    throw UsageError(cat("--", key, ": is either true or false"));
  }

  // A value as it would stand on the command line.
  static std::string word(const std::string& key, const toml::node& node) {
    if (const auto text = node.value_exact<std::string>()) return *text;
    if (const auto whole = node.value_exact<int64_t>()) return std::to_string(*whole);
    if (const auto real = node.value_exact<double>()) {
      std::array<char, 32> digits;  // as many as tell it apart
      return {digits.data(),
              std::to_chars(digits.data(), digits.data() + digits.size(), *real).ptr};
    }
    throw UsageError(cat("--", key, ": neither text nor a number"));
  }

  OptionTable& table_;
  std::string file_;
};

}  // namespace

void read_config_file(OptionTable& table, const std::string& file) {
  if (file.empty()) throw UsageError("--config: its value is empty; name a file or leave it out");
  ConfigFile(table, file).read();
}

}  // namespace nibble
