// SPDX-License-Identifier: Apache-2.0
#include "score/ptb_tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "score/java_text.h"
#include "score/ptb_rules.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr char16_t kSoftHyphen = 0xAD, kNoBreakSpace = 0xA0;

// What pycocoevalcap takes out. Brackets have become "-lrb-" and stay in.
constexpr std::string_view kPunctuation[] = {
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".",
    "?",  "!", ",",  ":", "-",     "--",    "...",   ";",
};

bool ends_line(char16_t c) {
  return (c >= u'\n' && c <= u'\r') || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_gap(char16_t c) {
  return ends_line(c) || c == u' ' || c == u'\t' || c == kNoBreakSpace ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x3000;
}

void replace_all(std::u16string& text, std::u16string_view what, std::u16string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size())
    text.replace(at, what.size(), by);
}

void replace_any(std::u16string& text, std::u16string_view any, std::u16string_view by) {
  for (size_t at = 0; (at = text.find_first_of(any, at)) != text.npos; at += by.size())
    text.replace(at, 1, by);
}

// &amp; in any case.
void unescape_ampersands(std::u16string& text) {
  constexpr std::u16string_view kEntity = u"&amp;";
  const auto same = [](char16_t a, char16_t b) {
    return (a >= u'A' && a <= u'Z' ? a + 32 : a) == b;
  };
  for (auto at = text.begin();;) {
    at = std::search(at, text.end(), kEntity.begin(), kEntity.end(), same);
    if (at == text.end()) return;
    at = text.erase(at + 1, at + static_cast<std::ptrdiff_t>(kEntity.size()));
  }
}

// Quotes as LaTeX writes them.
void unify_quotes(std::u16string& text, bool opening) {
  const std::u16string_view one = opening ? u"`" : u"'", two = opening ? u"``" : u"''";
  replace_all(text, u"&apos;", one);
  replace_all(text, u"'", one);
  replace_all(text, u"\"", two);
  replace_all(text, u"&quot;", two);
  replace_any(text, u"\u0091\u2018\u201B\u2039", u"`");
  replace_any(text, u"\u0092\u2019\u203A", u"'");
  replace_any(text, u"\u0093\u201C\u00AB", u"``");
  replace_any(text, u"\u0094\u201D\u00BB", u"''");
}

void unify_currency(std::u16string& text) {
  replace_any(text, u"\u00A2", u"cents");
  replace_any(text, u"\u00A3", u"#");
  replace_any(text, u"\u0080\u00A4\u20A0\u20AC", u"$");
}

void write_out_fraction(std::u16string& text) {
  switch (text.front()) {
    case 0xBC:
      text = u"1/4";
      break;
    case 0xBD:
      text = u"1/2";
      break;
    case 0xBE:
      text = u"3/4";
      break;
    case 0x2153:
      text = u"1/3";
      break;
    case 0x2154:
      text = u"2/3";
      break;
    default:
      break;
  }
}

void remove_soft_hyphens(std::u16string& text) {
  if (text.find(kSoftHyphen) == text.npos) return;
  std::erase(text, kSoftHyphen);
  if (text.empty()) text = u"-";
}

void name_parentheses(std::u16string& text) {
  replace_all(text, u"(", u"-LRB-");
  replace_all(text, u")", u"-RRB-");
}

}  // namespace

struct PtbTokenizer::State {
  Lexer lexer = make_ptb_lexer();
  std::vector<PtbAction> actions;
};

PtbTokenizer::PtbTokenizer() : state_(std::make_unique<State>()) {
  for (const LexerRule& rule : ptb_rules())
    state_->actions.push_back(static_cast<PtbAction>(rule.action));
}

PtbTokenizer::~PtbTokenizer() = default;

// Tokens that start before `end`. One that would reach over it (quoted markup can) is read again
// without what follows: a caption is never lost in the next.
void PtbTokenizer::tokenize(std::u16string_view text, size_t end,
                            const std::function<void(std::u16string_view)>& use) {
  std::u16string token;
  for (size_t at = 0; at < end;) {
    Lexer::Match match = state_->lexer.match(text, at);
    if (match.end > end) match = state_->lexer.match(text.substr(0, end), at);
    CHECK(match.rule >= 0 && match.end > at && match.end <= end);
    token.assign(text.substr(at, match.end - at));
    at = match.end;
    switch (state_->actions[static_cast<size_t>(match.rule)]) {
      case PtbAction::kSkip:
        continue;
      case PtbAction::kLine:
        continue;
      case PtbAction::kText:
        break;
      case PtbAction::kNoSoftHyphens:
        remove_soft_hyphens(token);
        break;
      case PtbAction::kNoSpaces:
        std::ranges::replace(token, u' ', kNoBreakSpace);
        break;
      case PtbAction::kNoParentheses:
        name_parentheses(token);
        break;
      case PtbAction::kPhone:
        std::ranges::replace(token, u' ', kNoBreakSpace);
        name_parentheses(token);
        break;
      case PtbAction::kAmpersand:
        unescape_ampersands(token);
        break;
      case PtbAction::kOpening:
        unify_quotes(token, true);
        break;
      case PtbAction::kClosing:
        unify_quotes(token, false);
        break;
      case PtbAction::kDash:
        token = u"--";
        break;
      case PtbAction::kHyphens:
        if (token.size() == 3 || token.size() == 4) token = u"--";
        break;
      case PtbAction::kEllipsis:
        token = u"...";
        break;
      case PtbAction::kFraction:
        write_out_fraction(token);
        break;
      case PtbAction::kCurrency:
        unify_currency(token);
        break;
      case PtbAction::kLess:
        token = u"<";
        break;
      case PtbAction::kGreater:
        token = u">";
        break;
      case PtbAction::kOpenRound:
        token = u"-LRB-";
        break;
      case PtbAction::kCloseRound:
        token = u"-RRB-";
        break;
      case PtbAction::kOpenSquare:
        token = u"-LSB-";
        break;
      case PtbAction::kCloseSquare:
        token = u"-RSB-";
        break;
      case PtbAction::kOpenCurly:
        token = u"-LCB-";
        break;
      case PtbAction::kCloseCurly:
        token = u"-RCB-";
        break;
      case PtbAction::kEndsSentence:
        --at;
        break;
      case PtbAction::kAcronymEndsSentence:
        --at;
        if (token.size() == 2) token.pop_back();
        break;
      case PtbAction::kSplitBefore2:
      case PtbAction::kSplitBefore3: {
        const size_t back =
            state_->actions[static_cast<size_t>(match.rule)] == PtbAction::kSplitBefore2 ? 2 : 3;
        at -= back;
        token.resize(token.size() - back);
        break;
      }
    }
    use(token);
  }
}

std::string PtbTokenizer::finish(std::u16string_view text, size_t end) {
  std::string line;
  tokenize(text, end, [&](std::u16string_view token) {
    if (!line.empty()) line += ' ';
    java::append_utf8(line, java::lower(token));
  });
  // From here on it is Python: rstrip, split at spaces, take out, join.
  std::string_view rest = line;
  const std::string_view stripped = python_strip(rest);
  rest = rest.substr(0, static_cast<size_t>(stripped.end() - rest.begin()));
  std::string out;
  bool first = true;
  for (bool more = true; more;) {
    const size_t space = rest.find(' ');
    const std::string_view token = rest.substr(0, space);
    more = space != rest.npos;
    if (more) rest.remove_prefix(space + 1);
    if (std::ranges::count(kPunctuation, token)) continue;
    if (!first) out += ' ';
    first = false;
    out += token;
  }
  return out;
}

std::vector<std::string> PtbTokenizer::captions(std::span<const std::string_view> captions) {
  std::vector<std::string> out;
  out.reserve(captions.size());
  std::u16string text, next;
  // A break within a caption is white space: lines are captions.
  const auto load = [](std::string_view caption, std::u16string& into) {
    into.clear();
    java::append_utf16(into, caption);
    std::ranges::replace_if(into, ends_line, u' ');
  };
  for (size_t i = 0; i < captions.size(); ++i) {
    load(captions[i], text);
    const size_t end = text.size();
    if (std::ranges::all_of(text, is_gap)) {
      out.emplace_back();
      continue;
    }
    // Up to the next caption that is not blank, and the end of its line.
    for (size_t j = i + 1; j < captions.size(); ++j) {
      text += u'\n';
      load(captions[j], next);
      text += next;
      if (std::ranges::all_of(next, is_gap)) continue;
      if (j + 1 < captions.size()) text += u'\n';
      break;
    }
    out.push_back(finish(text, end));
  }
  return out;
}

std::string PtbTokenizer::caption(std::string_view caption) {
  return captions({&caption, 1}).front();
}

}  // namespace nibble
