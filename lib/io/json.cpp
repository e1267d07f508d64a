// SPDX-License-Identifier: Apache-2.0
#include "io/json.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "io/json_fault.h"

namespace nibble {
namespace {

const char* kind_name(const Json& v) {
  if (v.is_null()) return "null";
  if (v.is_bool()) return "a boolean";
  if (v.is_integer()) return "an integer";
  if (v.is_number()) return "a number";
  if (v.is_string()) return "a string";
  return v.is_array() ? "an array" : "an object";
}

[[noreturn]] void wrong_kind(const char* expected, const Json& found) {
  throw DataError(cat("expected ", expected, ", found ", kind_name(found)));
}

Json convert(simdjson::dom::element e) {
  using Type = simdjson::dom::element_type;
  switch (e.type()) {
    case Type::ARRAY: {
      Json::Array out;
      for (const auto item : simdjson::dom::array(e)) out.push_back(convert(item));
      return out;
    }
    case Type::OBJECT: {
      Json::Object out;
      for (const auto field : simdjson::dom::object(e))
        out.emplace_back(std::string(field.key), convert(field.value));
      return out;
    }
    case Type::INT64:
      return int64_t(e);
    case Type::UINT64:
      return uint64_t(e);
    case Type::DOUBLE:
      return double(e);
    case Type::STRING:
      return std::string_view(e);
    case Type::BOOL:
      return bool(e);
    case Type::NULL_VALUE:
      return nullptr;
  }
  return nullptr;
}

// Bytes of the UTF-8 character at the start of `text`, or 0 where it is none (RFC 3629).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) > 0x9f;
  const bool beyond = lead == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

// The text with integers of 19 digits or more as reals, where the parser refuses those beyond 64
// bits: Python writes 1e30 as 1000000000000000019884624838656 ("model_max_length" of many models).
std::string with_wide_integers_real(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (in_string) {
      if (text[i] == '\\' && end < text.size()) ++end;
      if (text[i] == '"') in_string = false;
    } else if (text[i] == '"') {
      in_string = true;
    } else if (is_digit(text[i])) {
      while (end < text.size() && is_digit(text[end])) ++end;
    }
    out += text.substr(i, end - i);
    const bool fraction = i > 0 && (text[i - 1] == '.' || text[i - 1] == 'e' ||
                                    text[i - 1] == 'E' || text[i - 1] == '+');
    const bool real =
        end < text.size() && (text[end] == '.' || text[end] == 'e' || text[end] == 'E');
    if (!in_string && end - i >= 19 && !fraction && !real) out += ".0";
    i = end;
  }
  return out;
}

void append_newline(std::string& out, int indent, int depth) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent * depth), ' ');
}

}  // namespace

bool Json::is_integer() const {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_);
}

bool Json::as_bool() const {
  if (const bool* v = std::get_if<bool>(&value_)) return *v;
  wrong_kind("true or false", *this);
}

int64_t Json::as_integer() const {
  if (const int64_t* v = std::get_if<int64_t>(&value_)) return *v;
  if (const double* v = std::get_if<double>(&value_))
    if (*v == std::floor(*v) && std::abs(*v) < 0x1p62) return static_cast<int64_t>(*v);
  if (std::holds_alternative<uint64_t>(value_)) throw DataError("an integer beyond 2^63");
  wrong_kind("an integer", *this);
}

double Json::as_number() const {
  if (const int64_t* v = std::get_if<int64_t>(&value_)) return static_cast<double>(*v);
  if (const uint64_t* v = std::get_if<uint64_t>(&value_)) return static_cast<double>(*v);
  if (const double* v = std::get_if<double>(&value_)) return *v;
  wrong_kind("a number", *this);
}

const std::string& Json::as_string() const {
  if (const std::string* v = std::get_if<std::string>(&value_)) return *v;
  wrong_kind("a string", *this);
}

const Json::Array& Json::as_array() const {
  if (const Array* v = std::get_if<Array>(&value_)) return *v;
  wrong_kind("an array", *this);
}
const Json::Object& Json::as_object() const {
  if (const Object* v = std::get_if<Object>(&value_)) return *v;
  wrong_kind("an object", *this);
}
Json::Array& Json::as_array() {
  return const_cast<Array&>(std::as_const(*this).as_array());
}
Json::Object& Json::as_object() {
  return const_cast<Object&>(std::as_const(*this).as_object());
}

const Json* Json::find(std::string_view name) const {
  if (const Object* object = std::get_if<Object>(&value_))
    for (const auto& [key, value] : *object)
      if (key == name) return &value;
  return nullptr;
}
Json* Json::find(std::string_view name) {
  return const_cast<Json*>(std::as_const(*this).find(name));
}

const Json& Json::at(std::string_view name) const {
  if (const Json* found = find(name)) return *found;
  throw DataError(cat("no \"", name, "\""));
}

Json& Json::set(std::string_view name, Json value) {
  if (is_null()) value_ = Object{};
  if (Json* found = find(name)) return *found = std::move(value);
  return as_object().emplace_back(std::string(name), std::move(value)).second;
}

void Json::erase(std::string_view name) {
  std::erase_if(as_object(), [&](const Member& m) { return m.first == name; });
}

std::string Json::dump(int indent) const {
  std::string out;
  append_to(out, indent, 0);
  return out;
}

void Json::append_to(std::string& out, int indent, int depth) const {
  if (const bool* b = std::get_if<bool>(&value_)) {
    out += *b ? "true" : "false";
  } else if (const int64_t* i = std::get_if<int64_t>(&value_)) {
    out += cat(*i);
  } else if (const uint64_t* u = std::get_if<uint64_t>(&value_)) {
    out += cat(*u);
  } else if (const double* d = std::get_if<double>(&value_)) {
    CHECK(std::isfinite(*d));
    const size_t at = out.size();
    out += cat(*d);
    // A real stays a real: 1.0, as Python writes it.
    if (out.find_first_of(".e", at) == std::string::npos) out += ".0";
  } else if (const std::string* text = std::get_if<std::string>(&value_)) {
    append_json_string(out, *text);
  } else if (const Array* array = std::get_if<Array>(&value_)) {
    out += '[';
    for (const Json& item : *array) {
      if (&item != array->data()) out += indent < 0 ? ", " : ",";
      append_newline(out, indent, depth + 1);
      item.append_to(out, indent, depth + 1);
    }
    if (!array->empty()) append_newline(out, indent, depth);
    out += ']';
  } else if (const Object* object = std::get_if<Object>(&value_)) {
    out += '{';
    for (const Member& member : *object) {
      if (&member != object->data()) out += indent < 0 ? ", " : ",";
      append_newline(out, indent, depth + 1);
      append_json_string(out, member.first);
      out += ": ";
      member.second.append_to(out, indent, depth + 1);
    }
    if (!object->empty()) append_newline(out, indent, depth);
    out += '}';
  } else {
    out += "null";
  }
}

namespace {

// How many characters at the text's beginning JSON holds as they are: ASCII without controls,
// quotes and backslashes. Eight at a time: a byte of `bad` has its top bit where one is not plain,
// and perhaps where bytes below it are not.
size_t plain_length(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101u, kTops = 0x80 * kOnes;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t w = 0;
    std::memcpy(&w, text.data() + at, sizeof w);
    const auto zeros = [](uint64_t x) { return (x - kOnes) & ~x; };
    const uint64_t bad = (w | (w - 0x20 * kOnes) | (w + kOnes) | zeros(w ^ ('"' * kOnes)) |
                          zeros(w ^ ('\\' * kOnes))) &
                         kTops;
    if (bad != 0) break;
  }
  const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
  while (at < text.size() && plain(text[at])) ++at;
  return at;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const size_t plain = plain_length(text.substr(i));
    out.append(text, i, plain);
    i += plain;
    if (i == text.size()) break;
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      const size_t length = utf8_length(text.substr(i));
      out += length > 0 ? text.substr(i, length) : std::string_view("\xef\xbf\xbd");
      i += std::max<size_t>(length, 1);
      continue;
    }
    ++i;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
  }
  out += '"';
}

Json parse_json(std::string_view text, const std::string& place) {
  // A parser keeps room for the largest document it has seen, 14 bytes a byte: one that read a
  // tokenizer is not kept.
  constexpr size_t kKept = size_t{1} << 20;
  thread_local simdjson::dom::parser kept;
  std::optional<simdjson::dom::parser> own;
  simdjson::dom::parser& parser = text.size() <= kKept ? kept : own.emplace();
  simdjson::dom::element root;
  const simdjson::padded_string padded(text);
  auto error = parser.parse(padded).get(root);
  if (error == simdjson::NUMBER_ERROR)
    error = parser.parse(simdjson::padded_string(with_wide_integers_real(text))).get(root);
  if (error)
    throw DataError(
        cat(place, ": not JSON: ", json_fault(error), "; check that the file is complete"));
  return convert(root);
}

Json read_json_file(const fs::path& path) {
  return parse_json(read_text_file(path), path.string());
}

}  // namespace nibble
