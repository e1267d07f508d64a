// SPDX-License-Identifier: Apache-2.0
#include "text/jinja.h"

#include "text/jinja_lexer.h"
#include "text/jinja_machine.h"
#include "text/unicode.h"

namespace nibble::jinja {

Template::Template(std::string_view source, std::string place) : place_(std::move(place)) {
  if (source.size() > kMaxSource)
    throw DataError(cat(place_, ": a template of more than ", kMaxSource >> 20, " MiB"));
  if (!is_utf8(source)) throw DataError(cat(place_, ": not UTF-8"));
  try {
    auto program = parse_program(source);
    program->source = source;
    program_ = std::move(program);
  } catch (const SyntaxFault& f) {
    throw TemplateError(place_, f.line, "TemplateSyntaxError", f.message);
  } catch (const Fault& f) {
    throw TemplateError(place_, 1, f.kind, f.message);
  }
}

Rendered Template::render(const Json& variables, const RenderOptions& options) const {
  thread_local Arena arena(kMaxMemory);
  arena.reset();
  Machine machine(*program_, options, arena);
  try {
    return machine.run(variables);
  } catch (const Fault& f) {
    throw TemplateError(place_, machine.line(), f.kind, f.message);
  }
}

bool Template::has_generation() const {
  return program_->generation;
}

bool Template::mentions(std::string_view word) const {
  return program_->source.find(word) != std::string::npos;
}

bool Template::reads(std::string_view variable) const {
  return program_->find(variable) >= 0;
}

}  // namespace nibble::jinja
