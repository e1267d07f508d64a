// SPDX-License-Identifier: Apache-2.0
#include "text/normalizer.h"

#include "text/nfc.h"
#include "text/unicode.h"

namespace nibble {
namespace {

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const CodePoint p = read_utf8(text, 0);
    if (!is_rust_space(p.code)) break;
    text.remove_prefix(static_cast<size_t>(p.size));
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  size_t keep = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    at += static_cast<size_t>(p.size);
    if (!is_rust_space(p.code)) keep = at;
  }
  return text.substr(0, keep);
}

}  // namespace

Normalizer::Normalizer(const Json& spec) {
  if (!spec.is_null()) add(spec);
}

void Normalizer::add(const Json& spec) {
  const std::string& type = spec.at("type").as_string();
  if (type == "Sequence") {
    for (const Json& step : spec.at("normalizers").as_array()) add(step);
    return;
  }
  Step step{};
  if (type == "NFC") {
    step.kind = Kind::kNfc;
  } else if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    step.content = spec.at("prepend").as_string();
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    step.content = spec.at("content").as_string();
    const Json& pattern = spec.at("pattern");
    if (const Json* text = pattern.find("String"))
      step.find = text->as_string();
    else
      step.pattern.emplace(pattern.at("Regex").as_string());
    if (!step.pattern && step.find.empty()) throw DataError("Replace of an empty string");
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.left = spec.at("strip_left").as_bool();
    step.right = spec.at("strip_right").as_bool();
  } else {
    throw UnavailableError(cat("normalizer \"", type, "\" is not supported"));
  }
  steps_.push_back(std::move(step));
}

std::string_view Normalizer::apply(TextPlace place, std::string_view text,
                                   std::string& buffer) const {
  if (steps_.empty()) return text;
  if (steps_.size() == 1) {
    buffer.clear();
    apply_step(steps_[0], place, text, buffer);
    return buffer;
  }
  thread_local std::string other;
  for (const Step& step : steps_) {
    other.clear();
    apply_step(step, place, text, other);
    buffer.swap(other);
    text = buffer;
  }
  return text;
}

void Normalizer::apply_step(const Step& step, TextPlace place, std::string_view text,
                            std::string& out) {
  switch (step.kind) {
    case Kind::kNfc:
      append_nfc(out, text);
      return;
    case Kind::kPrepend:
      if (!text.empty() && place != TextPlace::kAfterText) out += step.content;
      out += text;
      return;
    case Kind::kStrip:
      if (step.left) text = strip_left(text);
      out += step.right ? strip_right(text) : text;
      return;
    case Kind::kReplace:
      break;
  }
  size_t done = 0;
  if (!step.pattern) {
    for (size_t at; (at = text.find(step.find, done)) != std::string_view::npos;) {
      out += text.substr(done, at - done);
      out += step.content;
      done = at + step.find.size();
    }
  } else {
    for (size_t from = 0; from <= text.size();) {
      const std::optional<Match> m = step.pattern->find(text, from);
      if (!m) break;
      if (m->end == m->begin) throw DataError("a Replace pattern matches nothing at all");
      out += text.substr(done, m->begin - done);
      out += step.content;
      done = from = m->end;
    }
  }
  out += text.substr(done);
}

}  // namespace nibble
