// SPDX-License-Identifier: Apache-2.0
#include "data/members.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/quote.h"
#include "data/records.h"
#include "text/words.h"

namespace nibble {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::string_view kNoText[] = {"role", "from", "type", "id", "tool_call_id", "tools"};

void all_texts(element value, std::vector<std::string_view>& texts) {
  if (value.type() == element_type::STRING) {
    texts.push_back(std::string_view(value));
  } else if (value.type() == element_type::ARRAY) {
    for (const element item : simdjson::dom::array(value)) all_texts(item, texts);
  } else if (value.type() == element_type::OBJECT) {
    for (const auto member : simdjson::dom::object(value))
      if (std::find(std::begin(kNoText), std::end(kNoText), member.key) == std::end(kNoText))
        all_texts(member.value, texts);
  }
}

// Keys of the hash, one for each kind of value.
enum class Kind : uint64_t {
  kNull,
  kFalse,
  kTrue,
  kInteger,
  kUnsigned,
  kReal,
  kText,
  kWords,
  kArray,
  kObject
};

Digest digest_of(Kind kind, uint64_t seed, const void* data, size_t bytes) {
  return siphash128({seed, static_cast<uint64_t>(kind)}, {static_cast<const char*>(data), bytes});
}

Digest number_digest(double value, uint64_t seed) {
  if (value == std::floor(value) && std::abs(value) < 0x1p63) {
    const auto whole = static_cast<int64_t>(value);
    return digest_of(Kind::kInteger, seed, &whole, sizeof whole);
  }
  return digest_of(Kind::kReal, seed, &value, sizeof value);
}

}  // namespace

MemberPath::MemberPath(const std::string& text) : text_(text) {
  const auto refuse = [&] {
    throw UsageError(cat(quote(text), " names no field; write name, name.name or name[0].name"));
  };
  std::string_view rest = text;
  for (bool more = true; more;) {
    const size_t dot = rest.find('.');
    std::string_view part = rest.substr(0, dot);
    more = dot != rest.npos;
    if (more) rest.remove_prefix(dot + 1);
    Step step;
    if (const size_t open = part.find('['); open != part.npos && part.ends_with(']')) {
      const char* end = part.data() + part.size() - 1;
      const auto [stop, error] = std::from_chars(part.data() + open + 1, end, step.item);
      if (error != std::errc() || stop != end || step.item < 0) refuse();
      part = part.substr(0, open);
    }
    if (part.empty()) refuse();
    step.name = part;
    steps_.push_back(std::move(step));
  }
}

void MemberPath::follow(element from, std::span<const Step> steps, std::vector<element>& values) {
  if (steps.empty()) {
    if (!from.is_null()) values.push_back(from);
    return;
  }
  simdjson::dom::array items;
  if (from.get(items) == simdjson::SUCCESS) {
    for (const element item : items) follow(item, steps, values);
    return;
  }
  simdjson::dom::object object;
  element value;
  if (from.get(object) != simdjson::SUCCESS ||
      object.at_key(steps[0].name).get(value) != simdjson::SUCCESS)
    return;
  if (steps[0].item >= 0) {
    if (value.get(items) != simdjson::SUCCESS ||
        items.at(static_cast<size_t>(steps[0].item)).get(value) != simdjson::SUCCESS)
      return;
  }
  follow(value, steps.subspan(1), values);
}

void MemberPath::find(element record, std::vector<element>& values) const {
  element whole;
  if (record.at_key(text_).get(whole) != simdjson::SUCCESS)
    follow(record, steps_, values);
  else if (!whole.is_null())
    values.push_back(whole);
}

std::vector<MemberPath> parse_member_paths(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

element parse_object(std::string_view text) {
  const element record = parse_record(text);
  if (!record.is_object()) throw DataError("not a JSON object; a record is {\"name\": ...}");
  return record;
}

void record_texts(element record, std::span<const MemberPath> paths,
                  std::vector<std::string_view>& texts) {
  texts.clear();
  if (paths.empty()) return all_texts(record, texts);
  thread_local std::vector<element> values;
  values.clear();
  for (const MemberPath& path : paths) path.find(record, values);
  if (values.empty()) throw DataError(cat("no ", quote(paths[0].text())));
  for (const element value : values) all_texts(value, texts);
}

Digest value_digest(element value, uint64_t seed, TextEquality equality) {
  switch (value.type()) {
    case element_type::NULL_VALUE:
      return digest_of(Kind::kNull, seed, nullptr, 0);
    case element_type::BOOL:
      return digest_of(bool(value) ? Kind::kTrue : Kind::kFalse, seed, nullptr, 0);
    case element_type::INT64: {
      const auto whole = int64_t(value);
      return digest_of(Kind::kInteger, seed, &whole, sizeof whole);
    }
    case element_type::UINT64: {
      const auto whole = uint64_t(value);  // beyond 2^63
      return digest_of(Kind::kUnsigned, seed, &whole, sizeof whole);
    }
    case element_type::DOUBLE:
      return number_digest(double(value), seed);
    case element_type::STRING: {
      const std::string_view text(value);
      thread_local std::string words;
      words.clear();
      if (equality == TextEquality::kWords) append_words(words, text);
      if (words.empty()) return digest_of(Kind::kText, seed, text.data(), text.size());
      return digest_of(Kind::kWords, seed, words.data(), words.size());
    }
    case element_type::ARRAY: {
      Digest digest = digest_of(Kind::kArray, seed, nullptr, 0);
      for (const element item : simdjson::dom::array(value)) {
        const Digest part = value_digest(item, seed, equality);
        digest = siphash128(digest, {reinterpret_cast<const char*>(&part), sizeof part});
      }
      return digest;
    }
    case element_type::OBJECT: {
      // A sum of the members' digests, whatever their order.
      uint64_t sums[3] = {0, 0, 0};
      for (const auto member : simdjson::dom::object(value)) {
        const Digest part = siphash128(value_digest(member.value, seed, equality), member.key);
        sums[0] += part.low;
        sums[1] += part.high;
        ++sums[2];
      }
      return digest_of(Kind::kObject, seed, sums, sizeof sums);
    }
  }
  return {};
}

Digest record_digest(element record, std::span<const MemberPath> paths, uint64_t seed,
                     TextEquality equality) {
  if (paths.empty()) return value_digest(record, seed, equality);
  thread_local std::vector<element> values;
  Digest digest = {seed, 0};
  for (const MemberPath& path : paths) {
    values.clear();
    path.find(record, values);
    if (values.empty()) throw DataError(cat("no ", quote(path.text())));
    for (const element value : values) {
      const Digest part = value_digest(value, seed, equality);
      digest = siphash128(digest, {reinterpret_cast<const char*>(&part), sizeof part});
    }
  }
  return digest;
}

std::string_view record_line(std::string_view text, std::string& scratch) {
  if (text.find_first_of("\r\n") == text.npos) return text;
  scratch.resize(text.size());
  size_t size = 0;
  const auto error = simdjson::minify(text.data(), text.size(), scratch.data(), size);
  CHECK(error == simdjson::SUCCESS);  // it has been parsed
  return std::string_view(scratch).substr(0, size);
}

}  // namespace nibble
