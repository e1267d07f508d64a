// SPDX-License-Identifier: Apache-2.0
// Values of templates: Python's None, bool, int, float, str, list, tuple, dict and what they become
// part of. A value is 16 bytes and never changes, but for namespaces and iterators; what it points
// to lives in the rendering's arena, in the template, or in the variables.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"

namespace nibble::jinja {

class Machine;
struct Arguments;
struct Statement;
struct Scope;

/// Memory of one rendering, freed as a whole.
class Arena {
 public:
  explicit Arena(size_t limit) : limit_(limit) {}
  /// 16-byte aligned. Throws Fault where the limit is passed.
  void* take(size_t bytes);
  template <class T>
  T* array(size_t count) {
    return static_cast<T*>(take(count * sizeof(T)));
  }
  template <class T>
  T* make(T value) {
    return new (take(sizeof(T))) T(value);
  }
  std::string_view copy(std::string_view text);
  /// Forgets all, keeping the first block.
  void reset();

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    size_t size;
  };
  std::vector<Block> blocks_;
  size_t used_ = 0, total_ = 0, limit_;
};

/// A fault in a template without its place: kind as Python names it.
struct Fault {
  std::string kind, message;
};
[[noreturn]] void fail(std::string kind, std::string message);
[[noreturn]] void type_error(std::string message);
[[noreturn]] void value_error(std::string message);

enum class Kind : uint8_t {
  kMissing,  // no value at all: an argument not given, a variable not set
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kDict,
  kNamespace,
  kIterator,
  kLoop,
  kMacro,
  kFunction,
  kObject,
};
enum class ListKind : uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems };

struct List;
struct Dict;
struct Undefined;
struct Iterator;
struct Loop;
struct Macro;
struct Function;
struct Object;

struct Value {
  Kind kind = Kind::kNone;
  bool markup = false;  // a string of markupsafe's: + escapes what it is joined with
  uint32_t size = 0;    // of a string, in bytes
  union {
    bool boolean;
    int64_t integer;
    double real;
    const char* chars;
    const List* list;
    Dict* dict;  // of a namespace too
    const Undefined* undefined;
    Iterator* iterator;
    Loop* loop;
    const Macro* macro;
    const Function* function;
    Object* object;
  };

  Value() : integer(0) {}
  explicit Value(Kind k) : kind(k), integer(0) {}
  Value(bool v) : kind(Kind::kBool), boolean(v) {}
  Value(int64_t v) : kind(Kind::kInt), integer(v) {}
  Value(double v) : kind(Kind::kFloat), real(v) {}
  /// The text is not copied. Throws where it is beyond 4 GiB.
  Value(std::string_view text);
  Value(const char* text) : Value(std::string_view(text)) {}
  Value(const List* v) : kind(Kind::kList), list(v) {}
  Value(Dict* v) : kind(Kind::kDict), dict(v) {}
  Value(Iterator* v) : kind(Kind::kIterator), iterator(v) {}
  Value(Loop* v) : kind(Kind::kLoop), loop(v) {}
  Value(const Macro* v) : kind(Kind::kMacro), macro(v) {}
  Value(const Function* v) : kind(Kind::kFunction), function(v) {}
  Value(Object* v) : kind(Kind::kObject), object(v) {}

  bool is(Kind k) const { return kind == k; }
  bool missing() const { return kind == Kind::kMissing; }
  bool undefined_value() const { return kind == Kind::kUndefined; }
  bool none() const { return kind == Kind::kNone; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_integer() const { return kind == Kind::kInt || kind == Kind::kBool; }
  bool is_number() const { return is_integer() || kind == Kind::kFloat; }
  std::string_view text() const { return {chars, size}; }
  int64_t as_integer() const { return kind == Kind::kBool ? boolean : integer; }
  double as_real() const { return kind == Kind::kFloat ? real : static_cast<double>(as_integer()); }
};
static_assert(sizeof(Value) == 16);

struct List {
  const Value* items = nullptr;
  size_t size = 0;
  ListKind kind = ListKind::kList;
  int64_t start = 0, stop = 0, step = 1;  // of a range
  const Value* begin() const { return items; }
  const Value* end() const { return items + size; }
};

struct Entry {
  Value key, value;
};

struct Dict {
  Entry* entries = nullptr;
  size_t size = 0, capacity = 0;
  int64_t message = -1;  // which of the watched items it is
  Entry* begin() const { return entries; }
  Entry* end() const { return entries + size; }
};

/// Why there is no value: a hint, or a name that `object` (missing: the template) does not have.
struct Undefined {
  std::string_view hint;
  Value object, name;
  const char* kind = "UndefinedError";
};

/// A generator: its items are taken once.
struct Iterator {
  const List* items;
  size_t at = 0;
};

struct Loop {
  const List* items = nullptr;
  size_t at = 0;
  int64_t depth = 1;
  const Statement* statement = nullptr;  // of a recursive one
  Scope* scope = nullptr;
  Value changed = Value(Kind::kMissing);
};

struct Macro {
  const Statement* statement = nullptr;
  Scope* scope = nullptr;
};

using Run = Value (*)(Machine&, const Value& self, const Arguments&);
/// A function, or a method of `self`.
struct Function {
  std::string_view name;
  Run run;
  Value self = Value(Kind::kMissing);
};

/// cycler and joiner.
struct Object {
  bool cycler = false;
  const List* items = nullptr;
  size_t at = 0;
};

/// "str", "list", "NoneType": the name of the value's type, as Python's messages have it.
std::string_view type_name(const Value& v);
/// "dict object", "None": as jinja2's messages have it.
std::string object_name(const Value& v);

/// Throws what an operation on an undefined value throws: "'x' is undefined".
[[noreturn]] void fail_undefined(const Value& v);

bool truth(const Value& v);
bool equal(const Value& a, const Value& b, int depth = 0);
/// Less than 0, 0, more; `op` ("<") is for the message where the two have no order.
int compare(const Value& a, const Value& b, std::string_view op, int depth = 0);
/// Throws where it cannot be the key of a dict.
void check_hashable(const Value& v);

/// Names escaped as HTML, as markupsafe does.
std::string escaped(std::string_view text);

/// Python's str(v) and repr(v), appended.
void append_str(std::string& out, const Value& v);
void append_repr(std::string& out, const Value& v, int depth = 0);
void append_float(std::string& out, double v);
void append_repr(std::string& out, std::string_view text);
std::string str(const Value& v);
std::string repr(const Value& v);

/// Throws RecursionError where values are too deep in one another to be written.
inline constexpr int kMaxNesting = 500;
void check_nesting(int depth, std::string_view doing);
void append_hex(std::string& out, char32_t code, int digits);

struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false;
  bool lines = false;       // one item a line
  std::string_view indent;  // of a level
  std::string_view item_separator = ", ", key_separator = ": ";
};
/// Python's json.dumps. Throws TypeError for what JSON does not have.
void append_json(std::string& out, const Value& v, const JsonStyle& style, int depth = 0);

/// The entry of that key, or null. Adds to `steps` what it took.
Entry* find(const Dict& dict, const Value& key);
Entry* find(const Dict& dict, std::string_view key);

}  // namespace nibble::jinja
