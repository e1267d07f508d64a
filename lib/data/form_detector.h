// SPDX-License-Identifier: Apache-2.0
// Which form the records of a file have: as given, or as its first records show; and that all
// others are of the same.
#pragma once

#include <span>
#include <string>

#include "data/conversation.h"
#include "data/records.h"

namespace nibble {

class FormDetector {
 public:
  /// `given` is nullptr where the form is to be found out.
  explicit FormDetector(const Form* given) : given_(given), form_(given) {}

  /// Takes the first records of a file: the first of them that shows a form decides for the file.
  /// `names` are those that people gave by --fields, or own_names() where they could give none.
  void begin_file(std::span<const Record> records, const FieldNames& names);
  /// The file's form; nullptr where none of its first records has one.
  const Form* form() const { return form_; }

  /// The form of a record. Throws DataError where it is another than the file's, naming both, and
  /// where it is none.
  const Form& form_of(const Fields& record) const;

 private:
  const Form* given_;
  const Form* form_;
  std::string place_;  // of the record that decided
  bool nameable_ = false;
};

}  // namespace nibble
