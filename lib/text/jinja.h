// SPDX-License-Identifier: Apache-2.0
// Jinja templates as chat templates use them, rendered as jinja2 3.1 renders them in the
// environment that transformers sets up: immutable sandbox, trim_blocks, lstrip_blocks, break and
// continue,
// {% generation %}, its tojson, raise_exception and strftime_now. A template is parsed once and
// rendered many times, by any number of threads. It sees its variables, and nothing else; what it
// may take of time, memory and depth is bounded.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/json.h"

namespace nibble::jinja {

/// What a template may take.
inline constexpr size_t kMaxSource = size_t{1} << 20;    // bytes of a template
inline constexpr size_t kMaxMemory = size_t{256} << 20;  // bytes of values made in one rendering
inline constexpr size_t kMaxOutput = size_t{128} << 20;  // bytes of text of one rendering
inline constexpr uint64_t kMaxSteps = 100'000'000;       // expressions and items of one rendering
inline constexpr int kMaxDepth = 5000;                   // statements and calls in one another

/// A fault of a template, or one that it raises: "place:LINE: message".
struct TemplateError : DataError {
  TemplateError(const std::string& place, int line_, std::string kind_, std::string message_)
      : DataError(cat(place, ":", line_, ": ", message_)),
        line(line_),
        kind(std::move(kind_)),
        message(std::move(message_)) {}
  int line;
  std::string kind;  // jinja2's or Python's name: "TemplateError" (raised), "UndefinedError", ...
  std::string message;
};

/// Bytes of the text, from begin up to end.
struct Range {
  size_t begin = 0, end = 0;
  bool operator==(const Range&) const = default;
};

/// What was written while a loop had one of the messages for its item.
struct MessageRange {
  size_t message = 0;
  Range range;
};

struct Rendered {
  std::string text;
  std::vector<Range> generation;       // of {% generation %} blocks
  bool generation_lost = false;        // of one that is part of a value, whose place is unknown
  std::vector<MessageRange> messages;  // of inner loops before the outer; only what wrote something
};

struct RenderOptions {
  std::time_t now = std::time(nullptr);  // what strftime_now tells, as local time
  /// Watches the items of this variable, a list of objects, for Rendered::messages.
  std::string_view watch = "messages";
};

class Program;

class Template {
 public:
  /// `place` starts the messages of errors. Throws TemplateError where the source is no Jinja.
  explicit Template(std::string_view source, std::string place = "template");

  /// The variables are an object's members. Throws TemplateError.
  Rendered render(const Json& variables, const RenderOptions& options = {}) const;

  /// Whether it has {% generation %} blocks.
  bool has_generation() const;
  /// Whether it reads a variable of that name.
  bool reads(std::string_view variable) const;
  /// Whether its source has that word anywhere.
  bool mentions(std::string_view word) const;
  const std::string& place() const { return place_; }

 private:
  std::string place_;
  std::shared_ptr<const Program> program_;
};

}  // namespace nibble::jinja
