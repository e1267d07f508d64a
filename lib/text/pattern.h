// SPDX-License-Identifier: Apache-2.0
// Regular expressions of tokenizer.json. They are written for Oniguruma (Ruby's syntax) with the
// Unicode of its day; here PCRE2 runs them, translated: constructs that mean the same in both pass,
// classes are widened to Unicode 16, and anything else is refused by name.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nibble {

struct Match {
  size_t begin = 0, end = 0;
};

class Pattern {
 public:
  /// Throws UnavailableError naming a construct that is not supported, DataError where the pattern
  /// is none at all.
  explicit Pattern(std::string_view oniguruma);
  /// In PCRE2's own syntax (Perl's), as it stands. Throws DataError.
  static Pattern perl(std::string_view source);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// The first match at or after `from` (a character's start) in valid UTF-8. Throws DataError
  /// where the match takes more steps than PCRE2 allows.
  std::optional<Match> find(std::string_view text, size_t from) const;

 private:
  struct Compiled;
  Pattern(std::string_view source, const std::string& translated);
  std::unique_ptr<Compiled> compiled_;
};

/// The pattern in PCRE2's syntax; what the constructor compiles.
std::string translate_pattern(std::string_view oniguruma);

}  // namespace nibble
