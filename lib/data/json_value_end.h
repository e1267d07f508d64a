// SPDX-License-Identifier: Apache-2.0
// Finds where a JSON value ends, given its text in parts. Only strings and brackets matter; whether
// it is JSON at all is for the parser to say.
#pragma once

#include <cstdint>
#include <string_view>

namespace nibble {

class JsonValueEnd {
 public:
  /// How many bytes of `part` belong to the value; found() tells whether it ended there.
  size_t scan(std::string_view part) {
    size_t i = 0;
    while (i < part.size() && !found_) {
      const char c = part[i];
      if (in_string_) {
        if (escaped_)
          escaped_ = false;
        else if (c == '\\')
          escaped_ = true;
        else if (c == '"')
          in_string_ = false, found_ = depth_ == 0;
      } else if (c == '"') {
        if (depth_ == 0 && begun_) {  // a scalar runs into a string
          found_ = true;
          break;
        }
        in_string_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if (c == '}' || c == ']') {
        if (depth_ == 0) {  // the array's own end, after a scalar
          found_ = true;
          break;
        }
        found_ = --depth_ == 0;
      } else if (depth_ == 0 && std::string_view(", \t\r\n").find(c) != std::string_view::npos) {
        found_ = true;
        break;
      }
      begun_ = true;
      ++i;
    }
    return i;
  }
  bool found() const { return found_; }

 private:
  bool begun_ = false, in_string_ = false, escaped_ = false, found_ = false;
  int64_t depth_ = 0;
};

}  // namespace nibble
