// SPDX-License-Identifier: Apache-2.0
// Filters on lists and dicts (jinja_filters_list.cpp), for the table in jinja_filters.cpp.
#pragma once

#include "text/jinja_machine.h"

namespace nibble::jinja {

/// The value where it is a text, else its text.
Value soft_text(Machine& m, const Value& v);

namespace filters {

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
Value select(Machine& m, const Value& v, const Arguments& a);
Value selectattr(Machine& m, const Value& v, const Arguments& a);
Value slice(Machine& m, const Value& v, const Arguments& a);
Value sort(Machine& m, const Value& v, const Arguments& a);
Value sum(Machine& m, const Value& v, const Arguments& a);
Value unique(Machine& m, const Value& v, const Arguments& a);

}  // namespace filters
}  // namespace nibble::jinja
