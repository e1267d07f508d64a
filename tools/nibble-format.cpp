// SPDX-License-Identifier: Apache-2.0
// nibble-format: instruction data in the forms people have it in, to segments.
// Reads JSONL or a JSON array, writes JSONL {"segments":[{"label":false,"text":"..."}, ...]}.
//   nibble-format alpaca.json --template=SmolLM2 | nibble-tokenize --model=SmolLM2
#include "cli/tool.h"
#include "data/conversation.h"
#include "data/records.h"
#include "data/segments.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, fields;
  std::string from = "auto", template_name, model, train_on = "assistant", out;
  int64_t skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  std::vector<std::string> names = {"auto"};
  for (const Form* form : forms()) names.emplace_back(form->name);
  table.positional("FILE", o.files, "JSONL or a JSON array; standard input when none is given");
  table.group("Reading");
  table.add("from", "FORM", o.from, "form of the records; auto: as the first one shows")
      .choices(std::move(names));
  table.add("fields", "FIELD:NAME,...", o.fields,
            "what the records call a form's fields, as in prompt:question,completion:answer");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.group("Writing");
  table.add("template", "DIR|NAME|FILE", o.template_name,
            "how turns are written: as the model in DIR does, a template by name (chatml, alpaca, "
            "vicuna, llama-2, llama-3, mistral, zephyr, phi-3, gemma), or a FILE of Jinja");
  table.add("model", "DIR", o.model,
            "the model whose bos and eos a template by name or FILE writes");
  table
      .add("train-on", "WHAT", o.train_on,
           "what is learnt: assistant, last (the last answer), all, or roles:ROLE,ROLE")
      .also({"train-on-inputs"});
  table.out(o.out, "the segments; standard output when not given");
}

struct Formatted {
  std::string line;  // empty: the record holds no text
  bool trained = false;
};

// The form of the first record that shows one; none where no record does, each of which is reported
// when its turn comes.
const Form* detect_form_of(std::span<const Record> records, const FieldNames& names) {
  for (const Record& record : records) {
    try {
      return &detect_form(Fields(parse_record(record.text), names));
    } catch (const DataError&) {
    }
  }
  return nullptr;
}

void run(const Options& o, ToolContext& context) {
  const FieldNames names = parse_field_names(o.fields);
  SegmentRules rules = rules_for_template(o.template_name, o.model);
  rules.train_on = parse_train_on(o.train_on);
  const Form* given = o.from == "auto" ? nullptr : &form_by_name(o.from);
  const Form* form = given;
  LineWriter out(o.out);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  int64_t written = 0, empty = 0, untrained = 0;

  const auto begin_file = [&](std::span<const Record> records) {
    if (given) return;
    form = detect_form_of(records, names);
    if (form) context.say(cat(*records[0].file, ": records of the form ", form->name));
  };
  const auto work = [&](const Record& record, Formatted& result) {
    const Fields fields(parse_record(record.text), names);
    Conversation conversation;
    read_conversation(form ? *form : detect_form(fields), fields, conversation);
    const std::vector<Segment> segments = to_segments(rules, conversation);
    result.line.clear();
    result.trained = false;
    for (const Segment& s : segments) result.trained |= s.label;
    if (!segments.empty()) append_segments(result.line, segments);
  };
  const auto use = [&](const Record&, const Formatted& result) {
    if (result.line.empty()) {
      ++empty;
      return;
    }
    ++written;
    untrained += !result.trained;
    out.line(result.line);
  };
  map_records<Formatted>(o.files, bad, work, use, begin_file);
  out.commit();

  context.say(cat(written, " examples written"));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
  if (empty > 0) context.warn(cat(empty, " records hold no text and were skipped"));
  if (untrained > 0)
    context.warn(cat(untrained, " examples have nothing to train on; see --train-on"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-format",
       .summary = "write instruction data as the text that a model is trained on",
       .synopsis = "[FILE...] [--template=DIR|NAME|FILE] [-o OUT.jsonl]",
       .description =
           "Reads alpaca, messages, sharegpt, prompt/completion and text records and writes "
           "segments, JSONL {\"segments\":[{\"label\":false,\"text\":\"...\"}, ...]}, where label "
           "says what is trained on. Prompt and completion, and text, are taken as they stand and "
           "end with the model's eos; turns are written by the template.",
       .examples = {{"nibble-format alpaca.json --template=SmolLM2 -o segments.jsonl",
                     "as the model's own chat template has it"},
                    {"nibble-format qa.jsonl --from=alpaca "
                     "--fields=instruction:question,output:answer",
                     "other names for the fields"}},
       .computes = true},
      declare, run);
}
