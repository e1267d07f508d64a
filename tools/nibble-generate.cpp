// SPDX-License-Identifier: Apache-2.0
// nibble-generate: completes prompts. Reads JSONL ({"prompt": "..."} or any conversation form),
// writes the records with "completion", "tokens" and "finish_reason" added; or continues one
// --prompt; or talks in the terminal (--chat).
//
//   nibble-generate --model=model-nf4 --adapter=adapter questions.jsonl -o answers.jsonl
#include "cli/tool.h"
#include "data/records.h"
#include "infer/chat.h"
#include "infer/generator.h"
#include "infer/session.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, adapter, out, prompt, template_name, compute = "bf16", head = "keep";
  std::vector<std::string> files, stop;
  bool chat = false, raw = false, graphs = true;
  int64_t batch_size = 8, max_tokens = 256, context = 0, skip_bad = 0;
  SamplingOptions sampling;
};

void declare(OptionTable& t, Options& o) {
  t.positional("PROMPTS", o.files, "JSONL of prompts; standard input when none is given");
  t.add("model", "DIR", o.model, "model folder, dense or quantised").required();
  t.add("adapter", "DIR", o.adapter, "adapter to apply, without merging it");
  t.out(o.out, "completions; standard output when not given");
  t.group("What to complete");
  t.add("prompt", "TEXT", o.prompt, "complete this text and print it");
  t.flag("chat", o.chat, "talk in the terminal");
  t.flag("raw", o.raw, "continue prompts as they stand, without the chat template");
  t.add("template", "NAME|FILE", o.template_name,
        "chat template by name, or a FILE of Jinja, instead of the model's own");
  t.add("skip-bad", "N", o.skip_bad,
        "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  t.group("How");
  t.add("max-tokens", "N", o.max_tokens, "tokens of a completion, at most")
      .range(1, 1 << 24)
      .also({"max-new-tokens", "n-predict"});
  t.add_texts("stop", "TEXT", o.stop, "end a completion before this text; may be repeated")
      .also({"stop-strings"});
  t.add("temperature", "X", o.sampling.temperature, "0: always the likeliest token").range(0, 100);
  t.add("top-k", "K", o.sampling.top_k, "of the K likeliest only; 0: off").range(0, 1 << 24);
  t.add("top-p", "P", o.sampling.top_p, "of the likeliest that make up P; 1: off").range(0, 1);
  t.add("min-p", "P", o.sampling.min_p, "of those at least P times the likeliest's; 0: off")
      .range(0, 1);
  t.add("repetition-penalty", "X", o.sampling.repetition_penalty, "against tokens seen; 1: off")
      .range(0.01, 100);
  t.add("batch-size", "N", o.batch_size, "prompts at a time").range(1, 4096);
  t.add("context", "N", o.context, "positions a sequence; 0: as prompts and model need")
      .range(0, 1 << 24);
  t.add("compute", "TYPE", o.compute, "type of activations").choices({"bf16", "f32"});
  t.negatable("graphs", o.graphs, "on CUDA, launch a step as one CUDA graph");
  t.add("head", "TYPE", o.head, "what the head is read in: fewer bits are faster, and coarser")
      .choices({"keep", "int8", "nf4"});
}

struct Prompt {
  std::string record;
  std::vector<int32_t> ids;
};

class Completer {
 public:
  Completer(const Options& o, const ToolContext& context)
      : options_(o),
        context_(context),
        compute_(o.compute == "f32" ? Dtype::kF32 : Dtype::kBf16),
        session_(load_session(o.model, o.adapter, compute_)),
        prompter_(*session_->tokenizer, session_->model.config, o.template_name, o.raw, o.model) {
    quantize_head(*session_, o.head);
    for (const std::string& s : o.stop) stops_.push_back(unescape(s));
  }

  const Prompter& prompter() const { return prompter_; }
  const Session& session() const { return *session_; }
  const std::vector<std::string>& stops() const { return stops_; }

  GeneratorOptions generator_options(int64_t longest) const {
    const int64_t most = session_->model.config.max_position;
    const int64_t wanted =
        options_.context > 0 ? options_.context : std::min(most, longest + options_.max_tokens);
    GeneratorOptions g{.batch_size = options_.batch_size,
                       .context = wanted,
                       .max_tokens = options_.max_tokens,
                       .stop_ids = prompter_.stop_ids(),
                       .sampling = options_.sampling,
                       .compute = compute_,
                       .device = parse_device(context_.device),
                       .graphs = options_.graphs};
    g.sampling.seed = context_.seed;
    return g;
  }

  std::optional<TooLong> is_too_long(const std::vector<int32_t>& ids) const {
    return too_long(std::ssize(ids), options_.context, session_->model.config.max_position);
  }

  bool stopped(std::span<const int32_t> tokens) const {
    if (stops_.empty()) return false;
    std::string text = prompter_.text(tokens);
    return cut_at_stop(text, stops_);
  }

  // Completes a window of prompts and writes their records in order.
  void complete(const std::vector<Prompt>& window, uint64_t first, LineWriter& out) {
    int64_t longest = 0;
    std::vector<std::vector<int32_t>> ids;
    for (const Prompt& p : window) {
      ids.push_back(p.ids);
      longest = std::max(longest, static_cast<int64_t>(p.ids.size()));
    }
    // Laid out again only where prompts are longer than any before.
    const GeneratorOptions wanted = generator_options(longest);
    if (!generator_ || generator_->context() < wanted.context) {
      generator_.reset();
      generator_.emplace(session_->model, wanted);
    }
    std::vector<Completion> done(window.size());
    generator_->run(
        ids, first, [&](size_t, std::span<const int32_t> tokens) { return stopped(tokens); },
        [&](size_t index, Completion c) { done[index] = std::move(c); });
    for (size_t i = 0; i < window.size(); ++i) out.line(record_of(window[i], done[i]));
    out.flush();
  }

 private:
  std::string record_of(const Prompt& prompt, const Completion& completion) const {
    Json record = parse_json(prompt.record, "record");
    std::string text = prompter_.text(completion.tokens);
    cut_at_stop(text, stops_);
    record.set("completion", text);
    record.set("tokens", static_cast<int64_t>(completion.tokens.size()));
    record.set("finish_reason", completion.finish == Completion::Finish::kStop ? "stop" : "length");
    return record.dump();
  }

  const Options& options_;
  const ToolContext& context_;
  Dtype compute_;
  std::unique_ptr<Session> session_;
  Prompter prompter_;
  std::vector<std::string> stops_;
  std::optional<Generator> generator_;
};

void complete_files(const Options& o, const ToolContext& context, Completer& completer) {
  LineWriter out(o.out);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  const size_t window_size = static_cast<size_t>(o.batch_size) * 16;
  std::vector<Prompt> window;
  uint64_t completed = 0;
  Progress progress(context);
  const auto flush = [&] {
    if (window.empty()) return;
    completer.complete(window, completed, out);
    completed += window.size();
    window.clear();
    if (progress.due()) progress.show(cat(completed, " completed"));
  };
  for (const std::string& file : o.files.empty() ? std::vector<std::string>{"-"} : o.files) {
    RecordReader reader(file);
    for (Record record; reader.next(record);) {
      try {
        Prompt prompt{.record = std::string(record.text)};
        prompt.ids = completer.prompter().from_record(record.text);
        if (const auto fault = completer.is_too_long(prompt.ids)) throw DataError(fault->fault);
        window.push_back(std::move(prompt));
      } catch (const DataError& error) {
        bad.add(cat(place_of(record), ": ", error.what()));
      }
      if (window.size() == window_size) flush();
    }
  }
  flush();
  out.commit();
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

// The files, and OUT, that a prompt of the command line or a conversation would leave unused.
void refuse_what_is_unused(const Options& o, const OptionTable& table) {
  const bool prompt = table.given("prompt");
  if (!o.chat && !prompt) return;
  if (o.chat && prompt)
    throw UsageError("--prompt: --chat asks for prompts; leave one of them out");
  const std::string which = o.chat ? "--chat" : "--prompt";
  if (!o.files.empty())
    throw UsageError(cat(o.files.front(), ": ", which, " reads no file; leave one of them out"));
  if (!o.out.empty())
    throw UsageError(cat("--out=", o.out, ": ", which, " writes to standard output; leave it out"));
}

std::vector<int32_t> ids_of_prompt(const Options& o, const Completer& completer) {
  std::vector<int32_t> ids;
  try {
    ids = completer.prompter().from_text(o.prompt);
  } catch (const DataError& error) {
    throw DataError(cat("--prompt: ", error.what(), "; give another"));
  }
  if (const auto fault = completer.is_too_long(ids))
    throw DataError(cat("--prompt: ", fault->fault, "; ", fault->remedy));
  return ids;
}

void run(const Options& o, ToolContext& context) {
  refuse_what_is_unused(o, *context.table);
  Completer completer(o, context);
  const int64_t most = completer.session().model.config.max_position;
  if (o.context > most)
    throw UsageError(cat("--context=", o.context, " is above the model's context, ", most,
                         "; use that or less"));
  const auto options = completer.generator_options(o.chat ? most : 0);
  if (o.chat)
    return chat(completer.session().model, completer.prompter(), options, completer.stops());
  if (!context.table->given("prompt")) return complete_files(o, context, completer);
  const std::vector<int32_t> ids = ids_of_prompt(o, completer);
  Generator generator(completer.session().model,
                      completer.generator_options(static_cast<int64_t>(ids.size())));
  stream_completion(generator, ids, completer.prompter(), completer.stops(),
                    [](std::string_view text) { write_stdout(text); });
  write_stdout("\n");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-generate",
       .summary = "complete prompts with a model, with or without an adapter",
       .synopsis = "--model=DIR [--adapter=DIR] [PROMPTS.jsonl...] [-o OUT.jsonl]",
       .description = "Reads {\"prompt\": \"...\"} or any conversation form. Where the model has a "
                      "chat template, prompts are turns of a conversation, unless --raw. A "
                      "completion is the record with \"completion\", \"tokens\" and "
                      "\"finish_reason\" (stop, length) added, in the order of the input.",
       .examples = {{"nibble-generate --model=model-nf4 --adapter=adapter questions.jsonl",
                     "completions as JSONL"},
                    {"nibble-generate --model=model --chat", "a conversation in the terminal"},
                    {"nibble-generate --model=model --prompt='Once upon a time' --temperature=0.8",
                     "one completion, as text"}},
       .computes = true,
       .on_gpu = true},
      declare, run);
}
