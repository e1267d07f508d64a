// SPDX-License-Identifier: Apache-2.0
// Filters on lists and dicts (jinja_filters_list.cpp, jinja_filters_order.cpp) and on numbers
// (jinja_filters_number.cpp), for the table in jinja_filters.cpp.
#pragma once

#include <charconv>
#include <vector>

#include "text/jinja_machine.h"

namespace nibble::jinja {

/// The value where it is a text, else its text.
Value soft_text(Machine& m, const Value& v);

namespace filters {

// What an attribute="a.b.0" of a filter reads from an item.
class Getter {
 public:
  Getter(Machine& m, const Value& attribute, const Value& otherwise = Value(Kind::kNone))
      : m_(m), otherwise_(otherwise) {
    if (attribute.missing() || attribute.none()) return;
    if (!attribute.is_string()) {
      parts_.push_back(attribute);
      return;
    }
    for (std::string_view rest = attribute.text();;) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      int64_t index = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool digits = !part.empty() && part[0] != '-' && error == std::errc() &&
                          end == part.data() + part.size();
      parts_.push_back(digits ? Value(index) : Value(part));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
  }

  Value operator()(Value v) const {
    m_.step();
    for (const Value& part : parts_) {
      v = m_.item(v, part);
      if (v.undefined_value() && !otherwise_.none()) v = otherwise_;
    }
    return v;
  }

 private:
  Machine& m_;
  Value otherwise_;
  std::vector<Value> parts_;
};

Value absolute(Machine& m, const Value& v, const Arguments& a);
Value batch(Machine& m, const Value& v, const Arguments& a);
Value dictsort(Machine& m, const Value& v, const Arguments& a);
Value first(Machine& m, const Value& v, const Arguments& a);
Value groupby(Machine& m, const Value& v, const Arguments& a);
Value items(Machine& m, const Value& v, const Arguments& a);
Value join(Machine& m, const Value& v, const Arguments& a);
Value last(Machine& m, const Value& v, const Arguments& a);
Value length(Machine& m, const Value& v, const Arguments& a);
Value list(Machine& m, const Value& v, const Arguments& a);
Value map(Machine& m, const Value& v, const Arguments& a);
Value max(Machine& m, const Value& v, const Arguments& a);
Value min(Machine& m, const Value& v, const Arguments& a);
Value reject(Machine& m, const Value& v, const Arguments& a);
Value rejectattr(Machine& m, const Value& v, const Arguments& a);
Value reverse(Machine& m, const Value& v, const Arguments& a);
Value round(Machine& m, const Value& v, const Arguments& a);
Value select(Machine& m, const Value& v, const Arguments& a);
Value selectattr(Machine& m, const Value& v, const Arguments& a);
Value slice(Machine& m, const Value& v, const Arguments& a);
Value sort(Machine& m, const Value& v, const Arguments& a);
Value sum(Machine& m, const Value& v, const Arguments& a);
Value to_float(Machine& m, const Value& v, const Arguments& a);
Value to_int(Machine& m, const Value& v, const Arguments& a);
Value unique(Machine& m, const Value& v, const Arguments& a);

}  // namespace filters
}  // namespace nibble::jinja
