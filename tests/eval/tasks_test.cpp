// SPDX-License-Identifier: Apache-2.0
#include "eval/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "eval/few_shot.h"
#include "support/folder_test.h"

namespace nibble {
namespace {

const fs::path kFixtures = fs::path(NIBBLE_TEST_DATA) / "eval" / "tasks";

Task builtin(const std::string& name) {
  auto tasks = find_tasks(name);
  EXPECT_EQ(tasks.size(), 1u);
  return std::move(tasks.front());
}

std::vector<TaskExample> examples_of(const std::string& task, const std::string& file,
                                     int64_t limit = 0) {
  return read_examples(builtin(task), {(kFixtures / task / file).string()}, limit, {});
}

// All that is asked of a model, and what is right.
std::string asked(const TaskExample& e) {
  std::string out = cat(e.description, "<", e.group, ">");
  for (const auto* list : {&e.prompts, &e.choices, &e.references})
    for (const std::string& text : *list) out += cat("|", text);
  for (const int64_t answer : e.answers) out += cat("=", answer);
  return out + "~" + e.target;
}

std::vector<std::string> fixtures_of(const std::string& task) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(kFixtures / task)) {
    const fs::path& p = entry.path();
    if (entry.is_regular_file() && p.extension() != ".lst" &&
        p.stem().string().find("dev") == std::string::npos)
      out.push_back(fs::relative(p, kFixtures / task).string());
  }
  std::ranges::sort(out);
  return out;
}

TEST(Tasks, EveryFormOfEveryTaskReadsItsFixture) {
  std::vector<std::string> faults;
  for (const TaskSummary& summary : list_tasks(faults)) {
    const Task task = builtin(summary.name);
    EXPECT_FALSE(task.about.empty() || task.source.empty() || task.test.empty()) << task.name;
    const auto files = fixtures_of(task.name);
    EXPECT_GE(files.size(), task.forms.size()) << task.name;
    for (const std::string& file : files) {
      const auto examples = examples_of(task.name, file);
      EXPECT_FALSE(examples.empty()) << task.name << "/" << file;
      for (const TaskExample& e : examples) {
        for (const std::string& prompt : e.prompts) EXPECT_FALSE(prompt.empty());
        EXPECT_EQ(e.choices.empty(), task.kind != TaskKind::kChoice);
        EXPECT_EQ(e.shown(task).find("Undefined"), std::string::npos);
      }
    }
  }
}

// However the publisher and others write a question, the model is asked the same.
TEST(Tasks, FormsOfATaskAskTheSame) {
  const std::map<std::string, std::vector<std::string>> alike = {
      {"arc_easy", {"publisher.jsonl", "hub.jsonl", "instruction.json"}},
      {"arc_challenge", {"publisher.jsonl", "hub.jsonl", "instruction.json"}},
      {"openbookqa", {"publisher.jsonl", "hub.jsonl"}},
      {"boolq", {"publisher.jsonl", "super_glue.jsonl", "hub.jsonl"}},
      {"piqa", {"publisher.jsonl", "hub.jsonl"}},
      {"sciq", {"publisher.json", "hub.jsonl"}},
      {"truthfulqa_mc1", {"publisher.json", "hub.jsonl"}},
      {"truthfulqa_mc2", {"publisher.json", "hub.jsonl"}},
      {"multirc", {"super_glue.jsonl", "hub.jsonl"}},
      {"gsm8k", {"publisher.jsonl", "instruction.jsonl"}},
      {"squad", {"publisher.json", "hub.jsonl"}},
      {"triviaqa", {"publisher.json", "hub.jsonl"}},
      {"wic", {"super_glue.jsonl", "hub.jsonl"}}};
  for (const auto& [task, files] : alike) {
    const auto first = examples_of(task, files[0]);
    for (const std::string& file : files) {
      const auto other = examples_of(task, file);
      ASSERT_EQ(other.size(), first.size()) << task << "/" << file;
      for (size_t i = 0; i < first.size(); ++i)
        EXPECT_EQ(asked(other[i]), asked(first[i])) << task << "/" << file;
    }
  }
  std::vector<TaskExample> subjects;
  for (const char* file : {"test/stars_test.csv", "test/old_law_test.csv"})
    for (TaskExample& e : examples_of("mmlu", file)) subjects.push_back(std::move(e));
  const auto hub = examples_of("mmlu", "hub.jsonl");
  ASSERT_EQ(hub.size(), subjects.size());
  for (size_t i = 0; i < hub.size(); ++i) EXPECT_EQ(asked(hub[i]), asked(subjects[i]));
}

// The texts that lm-eval's tasks of these names make of the same records.
TEST(Tasks, PromptsAreThoseOfThePapers) {
  const auto text = [](const TaskExample& e, size_t i) {
    return e.prompts[0] + "~" + e.choices[i];
  };
  EXPECT_EQ(text(examples_of("hellaswag", "publisher.jsonl")[0], 0),
            "Making tea: A woman fills a pot. How to pour. Warm the cup first She~pours the tea.");
  EXPECT_EQ(text(examples_of("hellaswag", "publisher.jsonl")[0], 3),
            "Making tea: A woman fills a pot. How to pour. Warm the cup first She~ leaves there.");
  const TaskExample w = examples_of("winogrande", "publisher.jsonl")[0];
  EXPECT_EQ(asked(w),
            "<>|The cup did not fit the shelf because the cup|The cup did not fit the "
            "shelf because the shelf|The cup did not fit the shelf because the cup|The "
            "cup did not fit the shelf because the shelf=0~was too tall.");
  EXPECT_EQ(w.shown(builtin("winogrande")),
            "The cup did not fit the shelf because the cup was too tall.\n\n");
  EXPECT_EQ(text(examples_of("copa", "hub.jsonl")[1], 1),
            "The sun came out therefore~ the snow melted.");
  EXPECT_EQ(examples_of("record", "hub.jsonl")[0].prompts[0],
            "Ann Lee won the race in Oslo.\n\n  - Ann Lee was first.\n  - The race was in Oslo.\n");
  EXPECT_EQ(text(examples_of("record", "hub.jsonl")[0], 0).substr(80),
            "~  - Many cheered Ann Lee in Oslo");
  EXPECT_EQ(
      examples_of("wsc", "hub.jsonl")[0].prompts[0],
      "Passage: The dog chased the cat until *it* was tired.\nQuestion: In the passage above, "
      "does the pronoun \"*it*\" refer to \"*The dog*\"?\nAnswer:");
  EXPECT_EQ(text(examples_of("mnli", "hub.jsonl")[1], 1),
            "It rains.\nQuestion: The sun is out. True, False or Neither?\nAnswer:~Neither");
  const TaskExample m = examples_of("mmlu", "hub.jsonl")[2];
  EXPECT_EQ(
      m.description + m.prompts[0],
      "The following are multiple choice questions (with answers) about old law.\n\nWhat is a "
      "deed?\nA. a song\nB. a tool\nC. a document\nD. a coin\nAnswer:");
  const TaskExample t = examples_of("truthfulqa_mc2", "hub.jsonl")[0];
  EXPECT_TRUE(t.description.ends_with("Barcelona, Spain.\n\n"));
  EXPECT_TRUE(t.description.starts_with("Q: What is human life"));
  EXPECT_EQ(text(t, 1), "Q: Do fish sleep?\nA:~Fish rest.");
  EXPECT_EQ(t.correct, (std::vector<double>{1, 1, 0, 0}));
  const TaskExample l = examples_of("lambada", "hub.jsonl")[0];
  EXPECT_EQ(l.prompts[0] + "~" + l.target,
            "He took the key and opened the door. Behind the door stood another~ door");
}

TEST(Tasks, LimitsAreOfGroups) {
  EXPECT_EQ(examples_of("mmlu", "hub.jsonl", 1).size(), 2u);
  EXPECT_EQ(examples_of("mmlu", "hub.jsonl", 1)[1].number, 2);
  EXPECT_EQ(examples_of("arc_easy", "hub.jsonl", 1).size(), 1u);
}

class FewShots : public testing::Test {
 protected:
  FewShots() : task_(builtin("mmlu")) {
    questions_ = examples_of("mmlu", "hub.jsonl");
    source_.examples = examples_of("mmlu", "hub_dev.jsonl");
  }
  std::vector<std::vector<int64_t>> choose(int64_t count, FewShotOrder order, uint64_t seed = 1) {
    return choose_few_shots(task_, questions_, source_, {count, order, seed});
  }
  Task task_;
  std::vector<TaskExample> questions_;
  FewShotSource source_;
};

TEST_F(FewShots, AreOfTheQuestionsGroup) {
  EXPECT_EQ(choose(3, FewShotOrder::kFirst),
            (std::vector<std::vector<int64_t>>{{0, 1, 2}, {0, 1, 2}, {5, 6, 7}}));
  for (const FewShotOrder order : {FewShotOrder::kFixed, FewShotOrder::kSample}) {
    const auto drawn = choose(4, order);
    EXPECT_EQ(choose(4, order), drawn);
    EXPECT_NE(choose(4, order, 2), drawn);
    for (size_t i = 0; i < drawn.size(); ++i)
      for (const int64_t number : drawn[i])
        EXPECT_EQ(source_.examples[static_cast<size_t>(number)].group, questions_[i].group);
  }
  EXPECT_EQ(choose(4, FewShotOrder::kFixed)[0], choose(4, FewShotOrder::kFixed)[1]);
}

TEST_F(FewShots, NeverHoldTheQuestionAndAreEnough) {
  questions_.pop_back();
  source_ = {questions_, true};
  EXPECT_EQ(choose(1, FewShotOrder::kFirst)[0], std::vector<int64_t>{1});
  EXPECT_EQ(choose(1, FewShotOrder::kFirst)[1], std::vector<int64_t>{0});
  try {
    choose(2, FewShotOrder::kSample);
    FAIL();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("2 examples of mmlu (stars) are to stand before it, but "
                                         "there are 1"),
              std::string::npos)
        << e.what();
  }
}

TEST_F(FewShots, AreShownWithTheirAnswers) {
  EXPECT_EQ(few_shot_text(task_, questions_[0], source_, {6}),
            "The following are multiple choice questions (with answers) about stars.\n\nWhich is "
            "number 1?\nA. one\nB. two\nC. three\nD. four\nAnswer: B\n\n");
}

class BadTasks : public test::FolderTest {
 protected:
  // What reading the task says; the file is called t.toml.
  static std::string fault(const std::string& toml) {
    try {
      parse_task(toml, "t.toml");
    } catch (const DataError& e) {
      return e.what();
    }
    return "none";
  }
  std::string record_fault(const std::string& form, const std::string& record) {
    const Task task = parse_task(
        "name = \"t\"\nmetrics = [\"acc\"]\ncount = 2\n[[form]]\nfields = [\"q\"]\nprompt = \"{{ q "
        "}}\"\n" +
            form,
        "t.toml");
    write_text_file(path("x.jsonl"), record);
    try {
      read_examples(task, {path("x.jsonl").string()}, 0, {});
    } catch (const DataError& e) {
      return std::string(e.what()).substr(folder().string().size() + 1);
    }
    return "none";
  }
};

TEST_F(BadTasks, NameTheLine) {
  const std::string head = "name = \"t\"\nmetrics = [\"acc\"]\n";
  EXPECT_EQ(fault("name = "),
            "t.toml:1: Error while parsing key-value pair: encountered end-of-file");
  EXPECT_EQ(fault("metrics = [\"acc\"]"), "t.toml:1: the task has no \"name\"");
  EXPECT_EQ(fault("name = \"t\""), "t.toml:1: the task has no \"metrics\"");
  EXPECT_EQ(fault(head), "t.toml:1: the task has no [[form]]");
  EXPECT_EQ(fault(head + "kind = \"chioce\"\n"),
            "t.toml:3: kind \"chioce\" is none of choice, continuation, completion");
  EXPECT_EQ(fault(head + "count = \"two\"\n"),
            "t.toml:3: \"count\" is not a whole number from 0 to 1000");
  EXPECT_EQ(fault(head + "form = 3\n"), "t.toml:3: \"form\" is written [[form]]");
  EXPECT_EQ(fault(head + "few_shot_order = \"any\"\n"),
            "t.toml:3: few-shot order \"any\" is none of first, fixed, sample");
  EXPECT_EQ(fault(head + "[[form]]\nfields = [\"q\"]\n"), "t.toml:3: the form has no \"prompt\"");
  EXPECT_EQ(fault(head + "[[form]]\nprompt = \"{{ q }}\"\n"),
            "t.toml:3: the form has no \"choices\"");
  EXPECT_EQ(fault(head + "[[form]]\nprompt = \"{{ q }}\"\nchoices = [\"a\", \"b\"]\n"),
            "t.toml:3: the form has no \"answer\"");
  EXPECT_EQ(fault(head + "[[form]]\nprompt = \"{{ q \"\n").substr(0, 9), "t.toml:4:");
  EXPECT_EQ(
      fault(head +
            "[[form]]\nprompt = \"x\"\nchoices = [\"a\", \"b\"]\nanswer = \"0\"\nshape = 1\n"),
      "t.toml:7: no key \"shape\" belongs here; see FORMAT.md");
  EXPECT_EQ(fault("name = \"t\"\nmetrics = [\"accc\"]\n").substr(0, 30),
            "t.toml:2: metric accc: no such");
}

TEST_F(BadTasks, RecordsNameTheirPlace) {
  const std::string choices = "choices = \"{{ c | tojson }}\"\nanswer = \"{{ a }}\"\n";
  EXPECT_EQ(record_fault(choices, "{\"x\": 1}\n"),
            "x.jsonl:1: the record's members are x, source_file; t reads q");
  EXPECT_EQ(record_fault(choices, "{\"q\": \"\", \"c\": [\"a\", \"b\"], \"a\": 0}\n{\"z\": 1}\n"),
            "x.jsonl:2: no \"q\"");
  EXPECT_EQ(record_fault(choices, "{\"q\": \"\", \"c\": [\"a\"], \"a\": 0}\n"),
            "x.jsonl:1: 1 choices; t has 2");
  EXPECT_EQ(record_fault(choices, "{\"q\": \"\", \"c\": [\"a\", \"b\", \"c\"], \"a\": 0}\n"),
            "x.jsonl:1: 3 choices; t has 2");
  EXPECT_EQ(record_fault(choices, "{\"q\": \"\", \"c\": [\"a\", \"b\"], \"a\": 2}\n"),
            "x.jsonl:1: the answer \"2\" is none of the 2 choices");
  EXPECT_EQ(record_fault(choices + "labels = \"{{ l | tojson }}\"\n",
                         "{\"q\": \"\", \"c\": [\"a\", \"b\"], \"a\": 1, \"l\": [1, 2, 3]}\n"),
            "x.jsonl:1: 2 choices, but 3 labels");
  EXPECT_EQ(record_fault(choices, "{\"q\": \"\"}{\n").substr(0, 11), "x.jsonl:1: ");
}

}  // namespace
}  // namespace nibble
