// SPDX-License-Identifier: Apache-2.0
// Members of a record by name, as users write them: "instruction", "meta.lang" (a member of a
// member), "messages.content" (of every item of an array), "messages[0].content" (of its first). A
// member whose name is the whole text, dots and all, comes before.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/siphash.h"

namespace nibble {

class MemberPath {
 public:
  /// Throws UsageError where the text is no path.
  explicit MemberPath(const std::string& text);

  const std::string& text() const { return text_; }
  /// Appends what is there; null is as good as absent.
  void find(simdjson::dom::element record, std::vector<simdjson::dom::element>& values) const;

 private:
  struct Step {
    std::string name;
    int64_t item = -1;  // -1: all items where the member is an array
  };
  static void follow(simdjson::dom::element from, std::span<const Step> steps,
                     std::vector<simdjson::dom::element>& values);

  std::string text_;
  std::vector<Step> steps_;
};

/// Throws UsageError.
std::vector<MemberPath> parse_member_paths(const std::vector<std::string>& texts);

/// The record, which must be a JSON object; good until this thread's next call. Throws DataError.
simdjson::dom::element parse_object(std::string_view text);

/// The texts of a record: with paths, all text within those members; without, all but that of
/// members that say what a text is or belong to a template (role, from, type, id, tool_call_id,
/// tools). The views are good as long as the record. Throws DataError where there are paths and
/// none of them is there.
void record_texts(simdjson::dom::element record, std::span<const MemberPath> paths,
                  std::vector<std::string_view>& texts);

/// What makes two texts equal.
enum class TextEquality : uint8_t { kBytes, kWords };

/// A digest by value: white space, escapes and the order of members make no difference, nor does
/// 1.0 for 1; nor, for texts that have words, what append_words drops.
Digest value_digest(simdjson::dom::element value, uint64_t seed = 0,
                    TextEquality equality = TextEquality::kBytes);
/// Of the members at the paths, all of which must be there; of the whole record without any. Throws
/// DataError.
Digest record_digest(simdjson::dom::element record, std::span<const MemberPath> paths,
                     uint64_t seed = 0, TextEquality equality = TextEquality::kBytes);

/// A record's text as a line: as it stands, but for line breaks within (an item of an array).
std::string_view record_line(std::string_view text, std::string& scratch);

}  // namespace nibble
