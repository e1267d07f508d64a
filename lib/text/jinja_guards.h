// SPDX-License-Identifier: Apache-2.0
// What a rendering enters and leaves: depth, scopes, and texts that are values.
#pragma once

#include <string>

#include "text/jinja_machine.h"

namespace nibble::jinja {

// One level of statements, expressions and calls in one another.
class Machine::Deeper {
 public:
  explicit Deeper(Machine& m) : m_(m) {
    if (++m_.depth_ > kMaxDepth) {
      --m_.depth_;
      fail("RecursionError", "maximum recursion depth exceeded");
    }
  }
  ~Deeper() { --m_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Machine& m_;
};

// Output goes to a text of its own while this lives.
class Machine::Capture {
 public:
  explicit Capture(Machine& m) : m_(m), outer_(m.out_) { m_.out_ = &text; }
  ~Capture() { m_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string text;

 private:
  Machine& m_;
  std::string* outer_;
};

// Variables are set in a scope while this lives.
class Machine::Inside {
 public:
  Inside(Machine& m, Scope* scope) : m_(m), outer_(m.scope_) { m_.scope_ = scope; }
  ~Inside() { m_.scope_ = outer_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Machine& m_;
  Scope* outer_;
};

}  // namespace nibble::jinja
