// SPDX-License-Identifier: Apache-2.0
#include "data/example.h"

#include <algorithm>

#include "base/error.h"
#include "data/fields.h"
#include "data/records.h"
#include "io/json.h"

namespace nibble {
namespace {

void append_segments(std::string& out, const std::vector<Segment>& segments) {
  out += '[';
  for (const Segment& s : segments) {
    if (&s != segments.data()) out += ',';
    out += s.label ? "{\"label\":true,\"text\":" : "{\"label\":false,\"text\":";
    append_json_string(out, s.text);
    out += '}';
  }
  out += ']';
}

void parse_segments(const Fields& record, std::string_view field, std::vector<Segment>& segments) {
  segments.clear();
  for (const auto item : record.array(field)) {
    const auto fail = [&](const char* fault) {
      record.fail(cat(field, "[", segments.size(), "] ", fault));
    };
    simdjson::dom::object object;
    std::string_view text;
    Segment segment;
    if (item.get_object().get(object)) fail("is not an object");
    if (object["text"].get_string().get(text)) fail("has no \"text\"");
    if (object["label"].get_bool().get(segment.label)) fail("has no \"label\", true or false");
    segment.text = text;
    segments.push_back(std::move(segment));
  }
}

bool any_trained(const std::vector<Segment>& segments) {
  return std::any_of(segments.begin(), segments.end(), [](const Segment& s) { return s.label; });
}

}  // namespace

bool SegmentedExample::trained() const {
  return any_trained(segments) && (rejected.empty() || any_trained(rejected));
}

void append_example(std::string& out, const SegmentedExample& example) {
  if (example.kind() == ExampleKind::kPair) {
    out += "{\"chosen\":";
    append_segments(out, example.segments);
    out += ",\"rejected\":";
    append_segments(out, example.rejected);
  } else {
    out += "{\"segments\":";
    append_segments(out, example.segments);
    if (example.desirable) out += *example.desirable ? ",\"label\":true" : ",\"label\":false";
  }
  out += '}';
}

void parse_example(std::string_view json, SegmentedExample& example) {
  const Fields record(parse_record(json), own_names());
  example.rejected.clear();
  example.desirable.reset();
  if (record.has("chosen") && record.has("rejected") && !record.has("segments")) {
    parse_segments(record, "chosen", example.segments);
    parse_segments(record, "rejected", example.rejected);
    if (example.segments.empty() || example.rejected.empty())
      record.fail("a preference pair with an empty side");
    return;
  }
  if (!record.has("segments"))
    record.fail("no \"segments\"; make them of conversations with nibble-format");
  parse_segments(record, "segments", example.segments);
  if (!record.has("label")) return;
  bool desirable = false;
  if (record.at("label").get_bool().get(desirable)) record.fail("\"label\" is no boolean");
  example.desirable = desirable;
}

}  // namespace nibble
