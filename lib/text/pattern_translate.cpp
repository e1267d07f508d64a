// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/pattern.h"

namespace nibble {
namespace {

// What Unicode 15.0, 15.1 and 16.0 added to each general category (DerivedGeneralCategory of the
// Unicode Character Database), as PCRE2 10.42 knows version 14. A newer PCRE2 knows them too.
struct Added {
  std::string_view category;
  std::string_view ranges;
};
constexpr std::string_view kLu = "1C89 A7CB-A7CC A7DA A7DC 10D50-10D65";
constexpr std::string_view kLl = "1C8A A7CD A7DB 10D70-10D85 1DF25-1DF2A";
constexpr std::string_view kLm = "10D4E 10D6F 16D40-16D42 16D6B-16D6C 1E030-1E06D 1E4EB";
constexpr std::string_view kLo =
    "105C0-105F3 10D4A-10D4D 10D4F 10EC2-10EC4 1123F-11240 11380-11389 1138B 1138E 11390-113B5 "
    "113B7 113D1 113D3 11BC0-11BE0 11F02 11F04-11F10 11F12-11F33 1342F 13441-13446 13460-143FA "
    "16100-1611D 16D43-16D6A 18CFF 1B132 1B155 1E4D0-1E4EA 1E5D0-1E5ED 1E5F0 2B739 2EBF0-2EE5D "
    "31350-323AF";
constexpr std::string_view kM =
    "897 CF3 ECE 10D69-10D6D 10EFC-10EFF 11241 113B8-113C0 113C2 113C5 113C7-113CA 113CC-113D0 "
    "113D2 113E1-113E2 11F00-11F01 11F03 11F34-11F3A 11F3E-11F42 11F5A 13440 13447-13455 "
    "1611E-1612F 1E08F 1E4EC-1E4EF 1E5EE-1E5EF";
constexpr std::string_view kNd =
    "10D40-10D49 116D0-116E3 11BF0-11BF9 11F50-11F59 16130-16139 16D70-16D79 1CCF0-1CCF9 "
    "1E4F0-1E4F9 1E5F1-1E5FA";
constexpr std::string_view kNo = "1D2C0-1D2D3";
constexpr std::string_view kP =
    "1B4E-1B4F 1B7F 10D6E 113D4-113D5 113D7-113D8 11B00-11B09 11BE1 11F43-11F4F 16D6D-16D6F 1E5FF";
constexpr std::string_view kS =
    "2427-2429 2FFC-2FFF 31E4-31E5 31EF 10D8E-10D8F 1CC00-1CCEF 1CD00-1CEB3 1F6DC 1F774-1F776 "
    "1F77B-1F77F 1F7D9 1F8B2-1F8BB 1F8C0-1F8C1 1FA75-1FA77 1FA87-1FA89 1FA8F 1FAAD-1FAAF "
    "1FABB-1FABF 1FAC6 1FACE-1FACF 1FADA-1FADC 1FADF 1FAE8-1FAE9 1FAF7-1FAF8 1FBCB-1FBEF";

// A category may be several of the lists.
constexpr std::array<Added, 19> kAdded = {{
    {"L", kLu},  {"L", kLl},  {"L", kLm}, {"L", kLo}, {"Lu", kLu}, {"Ll", kLl}, {"Lt", ""},
    {"Lm", kLm}, {"Lo", kLo}, {"M", kM},  {"N", kNd}, {"N", kNo},  {"Nd", kNd}, {"Nl", ""},
    {"No", kNo}, {"P", kP},   {"S", kS},  {"Z", ""},  {"Zs", ""},
}};

// White_Space, the same since Unicode 6.3. PCRE2's \s has U+180E besides.
constexpr std::string_view kSpace =
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
    "\\x{205F}\\x{3000}";

void append_ranges(std::string& out, std::string_view ranges) {
  while (!ranges.empty()) {
    const size_t stop = std::min(ranges.find_first_of(" -"), ranges.size());
    out += cat("\\x{", ranges.substr(0, stop), "}");
    if (stop < ranges.size() && ranges[stop] == '-') out += '-';
    ranges.remove_prefix(std::min(stop + 1, ranges.size()));
  }
}

bool is_punctuation(char c) {
  return std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ").find(c) != std::string_view::npos;
}

class Translator {
 public:
  explicit Translator(std::string_view source) : source_(source) {}

  std::string run() {
    while (at_ < source_.size()) {
      const char c = take();
      switch (c) {
        case '\\':
          escape(false);
          break;
        case '[':
          set();
          break;
        case '(':
          group();
          break;
        case '{':
          repeat();
          break;
        case '*':
        case '+':
        case '?':
          out_ += c;
          if (peek() == '+' || peek() == '?') out_ += take();
          break;
        case '^':
        case '$':
          refuse(std::string(1, c));
        default:
          out_ += c;  // also | ) and .
      }
    }
    return std::move(out_);
  }

 private:
  char peek() const { return at_ < source_.size() ? source_[at_] : '\0'; }
  char take() {
    if (at_ >= source_.size()) throw DataError("a regular expression ends too early");
    return source_[at_++];
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw UnavailableError(
        cat("\"", what, "\" in the regular expression ", source_, " is not supported"));
  }

  void group() {
    out_ += '(';
    if (peek() != '?') {
      out_ += "?:";  // no one asks for the captures
      return;
    }
    for (const std::string_view form : {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?i)"})
      if (source_.substr(at_).starts_with(form)) {
        out_ += form;
        at_ += form.size();
        return;
      }
    refuse(cat("(", source_.substr(at_, 3)));
  }

  // {n} {n,} {n,m}; Ruby reads what may follow them otherwise than PCRE2.
  void repeat() {
    std::string text = "{";
    while (peek() != '}') text += take();
    text += take();
    const bool numbered = text.find_first_not_of("0123456789,", 1) == text.size() - 1 &&
                          text[1] >= '0' && text[1] <= '9';
    if (!numbered || peek() == '+' || peek() == '?') refuse(text);
    out_ += text;
  }

  void escape(bool in_set) {
    const char c = take();
    if (c == 'p' || c == 'P') return property(c == 'P', in_set);
    if (c == 's') {
      out_ += in_set ? std::string(kSpace) : cat("[", kSpace, "]");
    } else if (c == 'S' && !in_set) {
      out_ += cat("[^", kSpace, "]");
    } else if (c == 'd') {
      category("Nd", in_set, false);
    } else if (c == 'x' && peek() == '{') {
      out_ += "\\x";
      while (peek() != '}') out_ += take();
      out_ += take();
    } else if (c == 'n' || c == 'r' || c == 't' || c == 'f' || is_punctuation(c)) {
      out_ += {'\\', c};
    } else {
      refuse({'\\', c});
    }
  }

  void property(bool negated, bool in_set) {
    std::string name;
    if (take() != '{') refuse("\\p");
    while (peek() != '}') name += take();
    take();
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    category(name, in_set, negated);
  }

  void category(const std::string& name, bool in_set, bool negated) {
    bool known = false;
    std::string body = cat("\\p{", name, "}");
    for (const Added& added : kAdded)
      if (added.category == name) {
        known = true;
        append_ranges(body, added.ranges);
      }
    if (!known || (negated && in_set)) refuse(cat(negated ? "\\P{" : "\\p{", name, "}"));
    out_ += in_set ? body : cat(negated ? "[^" : "[", body, "]");
  }

  void set() {
    out_ += '[';
    if (peek() == '^') out_ += take();
    if (peek() == ']') refuse("[]");
    while (peek() != ']') {
      const char c = take();
      if (c == '\\')
        escape(true);
      else if (c == '[' || (c == '&' && peek() == '&'))
        refuse(c == '[' ? "[ inside []" : "&&");
      else
        out_ += c;
    }
    out_ += take();
  }

  std::string_view source_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_pattern(std::string_view oniguruma) {
  return Translator(oniguruma).run();
}

}  // namespace nibble
