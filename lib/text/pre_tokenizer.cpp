// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/json_members.h"
#include "text/unicode.h"

namespace nibble {

using json_tokenizer::flag;

namespace {

// How GPT-2 cuts text ("Language Models are Unsupervised Multitask Learners", 2019).
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Part {
  Match span;
  bool matched;
};

// All of the text, in parts that match and parts that do not. An empty match cuts.
template <class Find>
void find_parts(Find find, std::string_view text, std::vector<Part>& parts) {
  parts.clear();
  size_t done = 0;
  for (size_t from = 0; from < text.size();) {
    const std::optional<Match> m = find(from);
    if (!m) break;
    if (m->begin > done) parts.push_back({{done, m->begin}, false});
    if (m->end > m->begin) parts.push_back({*m, true});
    done = from = m->end;
    if (m->end == m->begin && from < text.size())
      from += static_cast<size_t>(read_utf8(text, from).size);
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, false});
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& spec) {
  if (!spec.is_null()) add(spec);
}

void PreTokenizer::add(const Json& spec) {
  const std::string& type = spec.at("type").as_string();
  if (byte_level_)
    throw UnavailableError(cat("pre_tokenizer \"", type, "\" after ByteLevel is not supported"));
  if (type == "Sequence") {
    for (const Json& step : spec.at("pretokenizers").as_array()) add(step);
  } else if (type == "ByteLevel") {
    add_byte_level(spec);
  } else if (type == "Digits") {
    Step step;
    // Numeric in the sense of Rust's char::is_numeric: with what Unicode 17 added.
    step.pattern.emplace(R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])");
    step.behavior = flag(spec, "individual_digits") ? Behavior::kIsolated : Behavior::kContiguous;
    steps_.push_back(std::move(step));
  } else if (type == "Metaspace") {
    add_metaspace(spec);
  } else if (type == "Split") {
    add_split(spec);
  } else {
    throw UnavailableError(cat("pre_tokenizer \"", type, "\" is not supported"));
  }
}

void PreTokenizer::add_byte_level(const Json& spec) {
  if (flag(spec, "add_prefix_space", true)) {
    Step step;
    step.kind = Kind::kPrefixSpace;
    steps_.push_back(std::move(step));
  }
  if (flag(spec, "use_regex", true)) {
    Step step;
    step.pattern.emplace(kGpt2);
    steps_.push_back(std::move(step));
  }
  byte_level_ = true;
}

void PreTokenizer::add_metaspace(const Json& spec) {
  Step step;
  step.kind = Kind::kMetaspace;
  step.find = spec.at("replacement").as_string();
  step.prefix = flag(spec, "add_prefix_space", true) ? Prefix::kAlways : Prefix::kNever;
  if (const Json* scheme = spec.find("prepend_scheme")) {
    const std::string& name = scheme->as_string();
    if (name != "always" && name != "first" && name != "never")
      throw UnavailableError(cat("prepend_scheme \"", name, "\" is not supported"));
    step.prefix = name == "always"  ? Prefix::kAlways
                  : name == "first" ? Prefix::kFirst
                                    : Prefix::kNever;
  }
  std::string replacement = step.find;
  steps_.push_back(std::move(step));
  if (!flag(spec, "split", true)) return;
  Step cut;
  cut.find = std::move(replacement);
  cut.behavior = Behavior::kMergedWithNext;
  steps_.push_back(std::move(cut));
}

void PreTokenizer::add_split(const Json& spec) {
  Step step;
  const Json& pattern = spec.at("pattern");
  if (const Json* text = pattern.find("String"))
    step.find = text->as_string();
  else
    step.pattern.emplace(pattern.at("Regex").as_string());
  if (!step.pattern && step.find.empty()) throw DataError("Split at an empty string");
  step.behavior = parse_behavior(spec.at("behavior").as_string());
  step.invert = flag(spec, "invert");
  steps_.push_back(std::move(step));
}

PreTokenizer::Behavior PreTokenizer::parse_behavior(const std::string& name) {
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  throw UnavailableError(cat("Split behavior \"", name, "\" is not supported"));
}

void PreTokenizer::apply(TextPlace place, Pieces& pieces) const {
  for (const Step& step : steps_) switch (step.kind) {
      case Kind::kSplit:
        split(step, pieces);
        break;
      case Kind::kMetaspace:
        metaspace(step, place, pieces);
        break;
      case Kind::kPrefixSpace:
        prefix_space(place, pieces);
        break;
    }
}

void PreTokenizer::split(const Step& step, Pieces& pieces) {
  thread_local std::vector<Part> parts;
  thread_local std::vector<Match> out;
  out.clear();
  for (const Match& piece : pieces.spans) {
    // Anchors and looks see the piece alone, not what is around it.
    const std::string_view text =
        std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin);
    const auto find = [&](size_t from) -> std::optional<Match> {
      if (step.pattern) return step.pattern->find(text, from);
      const size_t at = text.find(step.find, from);
      if (at == std::string_view::npos) return std::nullopt;
      return Match{at, at + step.find.size()};
    };
    find_parts(find, text, parts);
    if (step.invert)
      for (Part& p : parts) p.matched = !p.matched;
    const size_t first = out.size();
    bool previous = false;
    const auto put = [&](const Part& p) {
      out.push_back({piece.begin + p.span.begin, piece.begin + p.span.end});
    };
    switch (step.behavior) {
      case Behavior::kRemoved:
        for (const Part& p : parts)
          if (!p.matched) put(p);
        break;
      case Behavior::kIsolated:
        for (const Part& p : parts) put(p);
        break;
      case Behavior::kMergedWithPrevious:
        for (const Part& p : parts) {
          if (p.matched && !previous && out.size() > first)
            out.back().end = piece.begin + p.span.end;
          else
            put(p);
          previous = p.matched;
        }
        break;
      case Behavior::kMergedWithNext:
        std::reverse(parts.begin(), parts.end());
        for (const Part& p : parts) {
          if (p.matched && !previous && out.size() > first)
            out.back().begin = piece.begin + p.span.begin;
          else
            put(p);
          previous = p.matched;
        }
        std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
        break;
      case Behavior::kContiguous:
        for (const Part& p : parts) {
          if (out.size() > first && p.matched == previous)
            out.back().end = piece.begin + p.span.end;
          else
            put(p);
          previous = p.matched;
        }
        break;
    }
  }
  pieces.spans.swap(out);
}

void PreTokenizer::metaspace(const Step& step, TextPlace place, Pieces& pieces) {
  thread_local Pieces out;
  out.text.clear();
  out.spans.clear();
  for (size_t i = 0; i < pieces.spans.size(); ++i) {
    const std::string_view piece = pieces[i];
    const size_t begin = out.text.size();
    const bool prefixed = piece.starts_with(' ') || piece.starts_with(step.find);
    const bool first = pieces.spans[i].begin == 0;
    const bool wanted = step.prefix == Prefix::kAlways ? !first || place != TextPlace::kAfterText
                                                       : first && place == TextPlace::kStart;
    if (!prefixed && step.prefix != Prefix::kNever && wanted) out.text += step.find;
    for (const char c : piece) {
      if (c == ' ')
        out.text += step.find;
      else
        out.text += c;
    }
    out.spans.push_back({begin, out.text.size()});
  }
  std::swap(pieces, out);
}

void PreTokenizer::prefix_space(TextPlace place, Pieces& pieces) {
  thread_local Pieces out;
  out.text.clear();
  out.spans.clear();
  for (size_t i = 0; i < pieces.spans.size(); ++i) {
    const std::string_view piece = pieces[i];
    const size_t begin = out.text.size();
    const bool goes_on = pieces.spans[i].begin == 0 && place == TextPlace::kAfterText;
    if (!goes_on && !piece.starts_with(' ')) out.text += ' ';
    out.text += piece;
    out.spans.push_back({begin, out.text.size()});
  }
  std::swap(pieces, out);
}

}  // namespace nibble
