// SPDX-License-Identifier: Apache-2.0
// nibble-eval: how well a model predicts a text or data, and does benchmarks. Reads text, shards,
// conversations, benchmarks' own files, or two logs to compare; writes a report, and a log.
//   nibble-eval --model=model-nf4 --adapter=adapter --task=arc_easy --data=benchmarks --log=after
#include <algorithm>

#include "cli/outputs.h"
#include "cli/tool.h"
#include "eval/evaluate.h"
#include "eval/measure.h"
#include "eval/task_report.h"
#include "io/lines.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, adapter, perplexity, data, log, compute = "bf16", head = "keep", out;
  std::string template_name, train_on = "flags", few_shot_data, few_shot_order, show_task;
  std::vector<std::string> tasks, by, logs;
  std::optional<int64_t> few_shot;
  int64_t length = 0, stride = 0, batch_size = 4, limit = 0, samples = 1000;
  bool compare = false, list_tasks = false;
};

void declare(OptionTable& t, Options& o) {
  t.positional("LOG", o.logs, "with --compare, the log before and the log after");
  t.add("model", "DIR", o.model, "model folder, dense or quantised");
  t.add("adapter", "DIR", o.adapter, "adapter to apply, without merging it");
  t.group("What to measure");
  t.add("perplexity", "TEXT", o.perplexity, "of this text file, or of standard input for -");
  t.add("task", "NAME|FILE", o.tasks, "benchmarks: by name, by suite, or as a FILE.toml")
      .also({"tasks"});
  t.add("data", "FILE|DIR", o.data,
        "without --task, perplexity of the trained tokens of a packed shard, or of conversations "
        "of any form; with it, the benchmark's file, or the folder that holds such files");
  t.flag("compare", o.compare, "two logs of tasks, by a paired bootstrap: learnt, forgotten");
  t.flag("list-tasks", o.list_tasks, "the tasks that there are");
  t.add("show-task", "NAME", o.show_task,
        "a task's file, to read or to begin one of your own from");
  t.group("Perplexity");
  t.add("length", "N", o.length,
        "tokens of a window; 0: 1024, or the model's context if shorter; of a task's question, 0: "
        "the model's context")
      .range(0, 1 << 24)
      .also({"max-length", "context", "n-ctx"});
  t.add("stride", "N", o.stride, "new tokens a window; 0: half its length").range(0, 1 << 24);
  t.add("template", "DIR|NAME|FILE", o.template_name,
        "how conversations are written; without it, the model's own");
  t.add("train-on", "WHAT", o.train_on,
        "what of a conversation counts: assistant, last, all, roles:ROLE,ROLE, or flags: the "
        "assistant's turns, unless a turn's own flag says otherwise");
  t.group("Tasks");
  t.add("few-shot", "N", o.few_shot, "examples before a question; without it, as the task says")
      .range(0, 1000)
      .also({"num-fewshot"});
  t.add("few-shot-data", "FILE", o.few_shot_data,
        "where these come from; without it, the task's own file, else the other questions");
  t.add("few-shot-order", "HOW", o.few_shot_order,
        "first: the first; fixed: one draw for all questions; sample: a draw for each; without it, "
        "as the task says")
      .choices({"first", "fixed", "sample"});
  t.add("limit", "N", o.limit, "questions of a task, or of each of its groups, at most; 0: all")
      .range(0, 1e15);
  t.add("by", "MEMBER", o.by, "scores by what records have there: a skill, a domain, or several");
  t.add("samples", "N", o.samples, "of the bootstrap, for errors and intervals").range(10, 1e6);
  t.group("How");
  t.add("batch-size", "N", o.batch_size,
        "windows, rows or completions at a time; for the choices of tasks, times 1024 tokens")
      .range(1, 4096);
  t.add("compute", "TYPE", o.compute, "type of activations").choices({"bf16", "f32"});
  t.add("head", "TYPE", o.head, "what the head is read in: fewer bits are faster, and coarser")
      .choices({"keep", "int8", "nf4"});
  t.add("log", "FILE", o.log,
        "JSONL: of tasks every example, to read, to compare, and to go on from after a stop; of a "
        "text the log-probability of every scored token");
  t.out(o.out, "the report; standard output when not given");
}

/// Options that would change nothing: they were meant to.
void refuse_what_is_unused(const Options& o, const OptionTable& table) {
  const bool task = !o.tasks.empty(), text = !o.perplexity.empty();
  const bool records = !o.data.empty() && !task && !o.data.ends_with(".nbp");
  const auto only = [&](bool used, const char* what, std::initializer_list<const char*> options) {
    for (const char* option : options)
      if (!used && table.given(option))
        throw UsageError(cat("--", option, ": is for ", what, "; leave it out"));
  };
  only(text || records || task, "texts, conversations and tasks, not for packed shards",
       {"length", "log"});
  only(text || records, "texts and conversations", {"stride"});
  only(records, "conversations", {"template", "train-on"});
  only(task, "--task", {"few-shot", "few-shot-data", "few-shot-order", "limit", "by"});
  only(task || o.compare, "--task and --compare", {"samples"});
}

std::unique_ptr<Session> open_session(const Options& o, Dtype compute) {
  if (o.model.empty()) throw UsageError("--model is required; see --help");
  auto session = load_session(o.model, o.adapter, compute);
  quantize_head(*session, o.head);
  const int64_t most = session->model.config.max_position;
  if (o.length != 0 && (o.length < 2 || o.length > most))
    throw UsageError(cat("--length=", o.length, " is outside 2 to the model's context, ", most));
  return session;
}

Json measure(const Options& o, Device device) {
  const Dtype compute = o.compute == "f32" ? Dtype::kF32 : Dtype::kBf16;
  const auto session = open_session(o, compute);
  const int64_t most = session->model.config.max_position;
  PerplexityOptions options{.context = o.length > 0 ? o.length : std::min<int64_t>(1024, most),
                            .batch_size = o.batch_size,
                            .compute = compute,
                            .device = device};
  options.stride = o.stride > 0 ? o.stride : std::max<int64_t>(1, options.context / 2);
  if (options.stride > options.context)
    throw UsageError(cat("--stride=", options.stride, " is above --length=", options.context));
  if (!o.perplexity.empty()) return measure_text(*session, o.perplexity, o.log, options);
  if (o.data.ends_with(".nbp")) return measure_shard(*session, o.data, options);
  return measure_conversations(*session, {o.data, o.model, o.template_name, o.train_on}, o.log,
                               options);
}

Json run_tasks(const Options& o, ToolContext& context) {
  std::vector<TaskRun> runs;
  std::optional<FewShotOrder> order;
  if (!o.few_shot_order.empty()) order = parse_few_shot_order(o.few_shot_order);
  for (const std::string& name : o.tasks)
    for (Task& task : find_tasks(name)) {
      for (const TaskRun& r : runs)
        if (r.task.name == task.name) throw UsageError(cat("--task=", task.name, ": given twice"));
      runs.push_back(prepare_task(std::move(task), o.data, o.few_shot_data, o.limit, o.few_shot,
                                  order, context.seed, o.by));
    }
  EvaluateOptions options{.batch_tokens = o.batch_size * 1024,
                          .batch_size = o.batch_size,
                          .compute = o.compute == "f32" ? Dtype::kF32 : Dtype::kBf16,
                          .device = parse_device(context.device)};
  const auto session = open_session(o, options.compute);
  options.context = o.length > 0 ? o.length : session->model.config.max_position;

  Json head = log_head(runs, context.seed, options);
  head.set("model", o.model);
  head.set("adapter", o.adapter);
  head.set("head", o.head);
  TaskLog log(o.log, head);
  Json reports = Json::object();
  for (const TaskRun& run : runs) {
    const std::string& name = run.task.name;
    const auto known = log.before().records.find(name);
    std::vector<Json> records;
    if (known != log.before().records.end()) records = known->second;
    std::set<int64_t> numbers;
    for (const Json& r : records) numbers.insert(r.at("example").as_integer());
    if (!numbers.empty())
      context.say(cat(name, ": going on after ", std::ssize(numbers), " examples"));
    Progress progress(context);
    evaluate(
        *session, run, options, numbers,
        [&](Json record) {
          log.write(record);
          records.push_back(std::move(record));
        },
        [&](int64_t done, int64_t all) {
          if (progress.due()) progress.show(cat(name, ": ", progress.share(done, all)));
        });
    progress.finish(cat(name, ": ", std::ssize(records), " examples"));
    std::ranges::sort(records, {}, [](const Json& r) { return r.at("example").as_integer(); });
    Json report = report_task(task_settings(head, name), records, {context.seed, o.samples});
    if (const Json* cut = report.find("truncated"))
      context.warn(cat(name, ": prompts longer than the context, ", options.context,
                       ", that lost their beginning: ", cut->as_integer()));
    reports.set(name, std::move(report));
  }
  return Json::object({{"model", o.model}, {"adapter", o.adapter}, {"tasks", reports}});
}

void run(const Options& o, ToolContext& context) {
  if (context.table->given("model") && o.model.empty())
    throw UsageError("--model: its value is empty");
  const int asked = !o.perplexity.empty() + !o.tasks.empty() + o.compare + o.list_tasks +
                    !o.show_task.empty() + (!o.data.empty() && o.tasks.empty());
  if (asked != 1)
    throw UsageError("give one of --perplexity, --data, --task and --compare; see --help");
  if (o.compare != (o.logs.size() == 2) || (!o.compare && !o.logs.empty()))
    throw UsageError("--compare takes two logs, BEFORE.jsonl and AFTER.jsonl");
  refuse_what_is_unused(o, *context.table);
  std::vector<std::string> inputs = o.logs;
  inputs.insert(inputs.end(), {o.perplexity, o.data, o.few_shot_data});
  refuse_lost_files({o.out, o.log}, inputs);

  Json report = Json::object();
  std::vector<std::string> lines, faults;
  if (o.list_tasks) {
    for (const TaskSummary& task : list_tasks(faults)) {
      report.set(task.name, task.about);
      lines.push_back(cat(task.name, "\t", task.about));
    }
    for (const std::string& fault : faults) context.warn(fault);
  } else if (!o.show_task.empty()) {
    for (const Task& task : find_tasks(o.show_task)) lines.push_back(task.toml);
    report = Json(Json::Array(lines.begin(), lines.end()));
  } else if (o.compare) {
    report = compare_logs(o.logs[0], o.logs[1], {context.seed, o.samples});
    lines = comparison_table(report);
  } else if (!o.tasks.empty()) {
    report = run_tasks(o, context);
    lines = report_table(report);
  } else {
    report = measure(o, parse_device(context.device));
    for (const auto& [name, value] : report.as_object())
      lines.push_back(cat(name, "\t", value.dump()));
  }
  LineWriter out(o.out);
  if (context.json) lines = {report.dump()};
  for (const std::string& line : lines) out.line(line);
  out.commit();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-eval",
       .summary = "measure how well a model predicts a text or data, and does benchmarks",
       .synopsis = "--model=DIR --perplexity=TEXT|--data=FILE|--task=NAME... | --compare A B",
       .description =
           "A text longer than a window is read in windows that overlap by length - stride. Every "
           "token but the first is scored once; where windows do not overlap, none that begins a "
           "window is, having nothing before it there. Of conversations only what training would "
           "learn is scored. A task is a benchmark described by a TOML file; its choices are told "
           "apart by their log-likelihoods, its completions by nibble-score's metrics.",
       .examples = {{"nibble-eval --model=model-nf4 --perplexity=wiki.txt --length=512",
                     "perplexity of a text, in windows of 512"},
                    {"nibble-eval --model=model --adapter=adapter --data=valid.nbp --json",
                     "loss on trained tokens, as JSON"},
                    {"nibble-eval --model=model --task=arc_easy,piqa --data=benchmarks "
                     "--limit=200 --log=before.jsonl",
                     "two benchmarks, 200 questions each, every answer in a log"},
                    {"nibble-eval --compare before.jsonl after.jsonl",
                     "what changed, with 95 % intervals"}},
       .computes = true,
       .on_gpu = true,
       .reports = true},
      declare, run);
}
