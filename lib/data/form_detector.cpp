// SPDX-License-Identifier: Apache-2.0
#include "data/form_detector.h"

#include "base/error.h"

namespace nibble {

void FormDetector::begin_file(std::span<const Record> records, const FieldNames& names) {
  nameable_ = &names != &own_names();
  if (given_) return;
  form_ = nullptr;
  for (const Record& record : records) {
    if (record.faulty) continue;
    try {
      form_ = find_form(Fields(parse_record(record.text), names));
    } catch (const DataError&) {
      // Told when its turn comes.
    }
    if (!form_) continue;
    place_ = place_of(record);
    return;
  }
}

const Form& FormDetector::form_of(const Fields& record) const {
  if (!form_) {
    if (const Form* form = find_form(record)) return *form;
    record.fail(cat("of no known form (it has ", record.names(),
                    nameable_ ? "; --fields says which is which)" : ")"));
  }
  // What was asked for may be a part of what a record is: the messages of rated ones, say.
  if (given_ && given_->matches(record)) return *given_;
  const Form* own = find_form(record);
  if (own == form_) return *form_;
  const std::string wanted =
      given_ ? cat("not ", form_->name, ", as --from says")
             : cat("where the file is of the form ", form_->name, " (", place_, ")");
  if (own) record.fail(cat("of the form ", own->name, ", ", wanted));
  if (given_) return *given_;  // whose reading says what is missing
  record.fail(cat("of no known form (it has ", record.names(), "), ", wanted));
}

}  // namespace nibble
