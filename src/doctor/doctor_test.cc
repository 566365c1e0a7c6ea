#include "doctor/deliver.h"
#include "doctor/machine.h"
#include "doctor/ports.h"
#include "doctor/proc.h"
#include "doctor/reach.h"
#include "doctor/report.h"
#include "doctor/running.h"
#include "doctor/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace weir::doctor {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kNow = kReleasedMs + 1'000'000'000;
constexpr std::int64_t kDay = 24LL * 3'600 * 1'000;

/// A finding with this level whose words, seen and fix, hold these two.
auto says(Level level, const std::string& seen, const std::string& fix = "") {
  return AllOf(Field(&Finding::level, level), Field(&Finding::seen, HasSubstr(seen)),
               Field(&Finding::fix, HasSubstr(fix)));
}

// --- the machine --------------------------------------------------------------------------------

ClockFacts clock_off_by(std::int64_t ms) {
  ClockFacts facts;
  facts.wall_ms = kNow;
  facts.readings = {{"kinesis:443", ms}};
  return facts;
}

TEST(Clock, OneThatAgreesIsSaidToAgree) {
  EXPECT_THAT(judge_clock(clock_off_by(900)), ElementsAre(says(Level::kOk, "agrees")));
  EXPECT_THAT(judge_clock(clock_off_by(-20'000)), ElementsAre(says(Level::kOk, "20 s")));
}

TEST(Clock, OneThatIsOffIsSaidToBeBehindOrAhead) {
  EXPECT_THAT(judge_clock(clock_off_by(600'000)),
              ElementsAre(says(Level::kWarning, "10 minutes behind kinesis:443", "timedatectl")));
  EXPECT_THAT(judge_clock(clock_off_by(-3 * kDay)),
              ElementsAre(says(Level::kError, "3 days ahead of kinesis:443", "timedatectl")));
}

TEST(Clock, TheServerThatAgreesBestCounts) {
  ClockFacts facts = clock_off_by(5 * kDay);
  facts.readings.push_back({"good:443", 300});
  EXPECT_THAT(judge_clock(facts), ElementsAre(says(Level::kOk, "good:443")));
}

TEST(Clock, OneFromBeforeThisVersionIsWrongWhateverAnybodySays) {
  ClockFacts facts;
  facts.wall_ms = 0;
  EXPECT_THAT(judge_clock(facts), ElementsAre(says(Level::kError, "before this version")));
}

TEST(Clock, WithoutAnswersTheKernelIsAsked) {
  ClockFacts facts;
  facts.wall_ms = kNow;
  facts.synchronised = false;
  EXPECT_THAT(judge_clock(facts), ElementsAre(says(Level::kWarning, "not synchronised")));
  facts.synchronised = true;
  EXPECT_THAT(judge_clock(facts), ElementsAre(says(Level::kOk, "synchronised")));
}

TEST(Limits, TooFewOpenFilesAndLittleMemoryAreNamed) {
  LimitFacts facts;
  facts.of_weir = true;
  facts.open_files = 1'024;
  facts.open_files_wanted = 6'000;
  facts.memory_available = 20U << 20U;
  facts.tasks_max = 8;
  EXPECT_THAT(judge_limits(facts), ElementsAre(says(Level::kWarning, "1024", "LimitNOFILE"),
                                               says(Level::kWarning, "20.0 MiB"),
                                               says(Level::kWarning, "8", "TasksMax")));
  facts.open_files = 65'536;
  facts.open_files_used = 65'000;
  EXPECT_THAT(judge_limits(facts), Contains(says(Level::kError, "65000 used", "LimitNOFILE")));
}

TEST(Limits, WhatSystemdAllowsCounts) {
  LimitFacts facts;
  facts.open_files = 65'536;
  facts.memory_available = 1ULL << 33U;
  facts.memory_max = 100U << 20U;
  facts.memory_used = 90U << 20U;
  EXPECT_THAT(judge_limits(facts), Contains(says(Level::kWarning, "100.0 MiB", "MemoryMax")));
}

// --- the store ----------------------------------------------------------------------------------

StoreFacts sound_store() {
  StoreFacts facts;
  facts.directory = "/var/lib/weir";
  facts.free_bytes = 50ULL << 30U;
  facts.total_bytes = 100ULL << 30U;
  facts.free_inodes = 1'000'000;
  facts.total_inodes = 2'000'000;
  facts.min_free_bytes = 16 << 20;
  facts.mode = 040700;
  facts.files_seen = 12;
  return facts;
}

TEST(Store, ASoundOneHasNothingToSay) {
  for (const Finding& finding : judge_store(sound_store())) {
    EXPECT_EQ(finding.level, Level::kOk) << finding.seen;
  }
}

TEST(Store, AFullDiskIsAnErrorAndANearlyFullOneAWarning) {
  StoreFacts facts = sound_store();
  facts.free_bytes = 40U << 20U;
  EXPECT_THAT(judge_store(facts), Contains(says(Level::kWarning, "40.0 MiB free")));
  facts.free_bytes = 10U << 20U;
  EXPECT_THAT(judge_store(facts), Contains(says(Level::kError, "refuses messages", "free some")));
}

TEST(Store, WithoutInodesNoSegmentBegins) {
  StoreFacts facts = sound_store();
  facts.free_inodes = 3;
  EXPECT_THAT(judge_store(facts), Contains(says(Level::kError, "3 more files", "segments")));
  facts.total_inodes = 0;  // Btrfs
  EXPECT_THAT(judge_store(facts), Not(Contains(says(Level::kError, ""))));
}

TEST(Store, AReadOnlyMountIsAnError) {
  StoreFacts facts = sound_store();
  facts.read_only = true;
  EXPECT_THAT(judge_store(facts), Contains(says(Level::kError, "read-only", "dmesg")));
}

TEST(Store, FilesOfSomebodyElseAndOpenOnesAreNamed) {
  StoreFacts facts = sound_store();
  facts.user = 4'000'000'001;
  facts.of_others = {{"streams/1/x.seg", 4'000'000'002, 0100600}};
  facts.too_open = {{"streams/1/x.seg", 4'000'000'002, 0100644}};
  EXPECT_THAT(judge_store(facts),
              AllOf(Contains(says(Level::kError, "belongs to 4000000002, not to 4000000001",
                                  "chown -R 4000000001")),
                    Contains(says(Level::kWarning, "streams/1/x.seg", "chmod"))));
}

TEST(Store, OneOfANewerFormatIsLeftAlone) {
  StoreFacts facts = sound_store();
  facts.not_a_store = "the store was written by a newer version of weir";
  EXPECT_THAT(judge_store(facts), Contains(says(Level::kError, "newer", "nothing was touched")));
}

TEST(Sync, ASlowDiskIsNamedByItsUsualWriteNotByOneBadOne) {
  EXPECT_THAT(judge_sync({"", {2'000, 3'000, 900'000}}), says(Level::kOk, "3.0 ms"));
  EXPECT_THAT(judge_sync({"", {150'000, 160'000, 170'000}}), says(Level::kWarning, "160.0 ms"));
  EXPECT_THAT(judge_sync({"", {3'000'000}}), says(Level::kError, "3000.0 ms"));
  EXPECT_THAT(judge_sync({"write: No space left", {}}), says(Level::kError, "No space"));
}

TEST(Secrets, OnesThatAreMissingUnreadableOrOpenAreNamed) {
  SecretFacts facts;
  facts.path = "/etc/weir/key.pem";
  facts.what = "the key";
  facts.mode = 0100644;
  EXPECT_THAT(judge_secret(facts), says(Level::kWarning, "0644", "chmod o-rwx"));
  facts.mode = 0100640;
  EXPECT_THAT(judge_secret(facts), says(Level::kOk, "the key"));
  facts.unreadable = "Permission denied";
  EXPECT_THAT(judge_secret(facts), says(Level::kError, "Permission denied"));
  facts.missing = true;
  EXPECT_THAT(judge_secret(facts), says(Level::kError, "does not exist"));
}

// --- ports --------------------------------------------------------------------------------------

TEST(Uploads, WhereFilesComeFromIsBounded) {
  EXPECT_THAT(check_input_directories({}),
              ElementsAre(says(Level::kWarning, "any file", "export.s3.input_directories")));
  EXPECT_THAT(check_input_directories({"/tmp", "/nowhere/at-all", "/etc/hostname"}),
              ElementsAre(says(Level::kOk, "uploads come from /tmp"),
                          says(Level::kError, "/nowhere/at-all does not exist", "mount"),
                          says(Level::kError, "/etc/hostname is not a directory", "name")));
}

TEST(Ports, ThoseThatListenAreFoundInTheKernelsTable) {
  constexpr const char* kTable =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0100007F:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
      "4711 1 0 100 0 0 10 0\n"
      "   1: 0100007F:1F98 0100007F:C0DE 01 00000000:00000000 00:00000000 00000000  1000        0 "
      "4712 1 0 100 0 0 10 0\n";
  const auto found = listeners_in(kTable, false);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].address, "127.0.0.1");
  EXPECT_EQ(found[0].port, 8'088);
  EXPECT_EQ(found[0].user, 1'000U);
  EXPECT_EQ(found[0].inode, 4'711U);
  EXPECT_TRUE(listeners_in("", false).empty());
  EXPECT_TRUE(listeners_in("heading\nnonsense\n 0: x y 0A\n", true).empty());
}

PortFacts taken_by(const std::string& name, const std::string& command) {
  PortFacts facts;
  facts.what = "programs";
  facts.key = "server.port";
  facts.port = 8'088;
  facts.listener = Listener{"127.0.0.1", 8'088, 0, 1};
  facts.owner = Process{77, name, command, 0};
  return facts;
}

TEST(Ports, WhoListensIsNamed) {
  EXPECT_THAT(
      judge_port(taken_by("java", "java -cp GreengrassStreamManager.jar com.amazonaws.iot.Main ")),
      says(Level::kError, "original stream manager, pid 77", "aws.greengrass.StreamManager"));
  EXPECT_THAT(judge_port(taken_by("nginx", "nginx: master ")),
              says(Level::kError, "taken by nginx, pid 77", "server.port"));
  EXPECT_THAT(judge_port(taken_by("java", "java -jar elastic.jar")),
              says(Level::kError, "taken by java"));
  EXPECT_THAT(judge_port(taken_by("weir", "weir serve ")),
              says(Level::kWarning, "a weir listens", "another weir"));
  PortFacts ours = taken_by("weir", "weir serve ");
  ours.weir_answers = true;
  EXPECT_THAT(judge_port(ours), says(Level::kOk, "weir, pid 77"));
}

TEST(Ports, AFreeOneIsFineUnlessWeirRuns) {
  PortFacts facts = taken_by("", "");
  facts.listener.reset();
  facts.owner.reset();
  EXPECT_THAT(judge_port(facts), says(Level::kOk, "free"));
  facts.weir_answers = true;
  EXPECT_THAT(judge_port(facts), says(Level::kWarning, "nobody listens"));
}

TEST(Ports, AListenerOfAnotherUserIsNamedByItsUser) {
  PortFacts facts = taken_by("", "");
  facts.owner.reset();
  facts.owner_user = "ggc_user";
  EXPECT_THAT(judge_port(facts), says(Level::kWarning, "ggc_user", "as root"));
}

// --- the running weir ---------------------------------------------------------------------------

RunningFacts answering(const char* status) {
  RunningFacts facts;
  facts.life = Life::kAnswers;
  facts.address = "127.0.0.1:8089";
  facts.status = status;
  return facts;
}

TEST(Running, EachStateHasItsWordsAndItsFix) {
  RunningFacts facts;
  facts.address = "127.0.0.1:8089";
  EXPECT_THAT(judge_running(facts), ElementsAre(says(Level::kWarning, "not running", "start")));
  facts.store_locked = true;
  EXPECT_THAT(judge_running(facts), ElementsAre(says(Level::kError, "runs on this store")));
  facts.life = Life::kSilent;
  EXPECT_THAT(judge_running(facts),
              ElementsAre(says(Level::kError, "does not answer", "systemctl restart weir")));
  facts.life = Life::kStranger;
  EXPECT_THAT(judge_running(facts), ElementsAre(says(Level::kError, "not weir", "admin.port")));
  facts.life = Life::kNoPort;
  EXPECT_THAT(judge_running(facts), ElementsAre(says(Level::kSkipped, "no fixed admin port")));
}

TEST(Running, WhatItComplainsOfItselfIsSaid) {
  const auto found = judge_running(answering(R"({"version":"9","streams":[{"name":"s","fault":"bad",
      "exports":[{"identifier":"e","type":"kinesis","target":"k","last_error":"no answer",
      "consecutive_failures":4,"waiting_messages":7}]}]})"));
  EXPECT_THAT(found,
              ElementsAre(says(Level::kOk, "weir 9 runs"), says(Level::kWarning, "stream 's': bad"),
                          says(Level::kWarning, "7 messages wait: no answer")));
}

TEST(Running, ADocumentOfNonsenseIsNoTrouble) {
  for (const char* text : {"", "[]", "{}", "{\"streams\":7}", "{\"streams\":[1,\"x\",{}]}"}) {
    EXPECT_EQ(judge_running(answering(text)).size(), 1U) << text;
    EXPECT_TRUE(exports_in(text).empty()) << text;
  }
}

TEST(Running, ExportsAreShownWhereTheyReallyGo) {
  const auto found = exports_in(R"({"streams":[{"name":"s","exports":[{"identifier":"e",
      "type":"iot_analytics","target":"c","redirected_to":{"type":"kinesis","target":"k"}}]}]})");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].type, "kinesis");
  EXPECT_EQ(found[0].target, "k");
}

using Settings = std::map<std::string, std::string>;

RunningFacts running_with(const std::string& config) {
  RunningFacts facts = answering("{}");
  facts.config_status = 200;
  facts.config = config;
  return facts;
}

constexpr const char* kRunning = R"x({"sha256":"ab","values":{
    "server.port":{"value":"8088","source":"weir.yaml:3"},
    "log.level":{"value":"debug","source":"environment LOG_LEVEL"},
    "tokens.file":{"value":"(hidden)","source":"weir.yaml:9"}}})x";

TEST(Drift, TheSameSettingsAreTheSameWhateverAnEnvironmentAdds) {
  const Settings same = {{"server.port", "8088"}, {"tokens.file", "(hidden)"}};
  EXPECT_THAT(judge_drift(running_with(kRunning), same, "ab"),
              says(Level::kOk, "has the settings of the files"));
  EXPECT_THAT(judge_drift(running_with(kRunning), same, "cd"),
              says(Level::kOk, "comments, order or secrets"));
}

TEST(Drift, WhatTheFilesWouldChangeIsNamed) {
  const Settings changed = {{"server.port", "9000"}, {"tokens.file", "(hidden)"}};
  EXPECT_THAT(judge_drift(running_with(kRunning), changed, "cd"),
              says(Level::kWarning, "server.port is 8088 and would be 9000", "weir reload"));
  const Settings more = {{"server.port", "8088"}, {"tokens.file", "(hidden)"}, {"admin.port", "1"}};
  EXPECT_THAT(judge_drift(running_with(kRunning), more, "cd"),
              says(Level::kWarning, "admin.port would be 1"));
  const Settings less = {{"tokens.file", "(hidden)"}};
  EXPECT_THAT(judge_drift(running_with(kRunning), less, "cd"),
              says(Level::kWarning, "server.port is 8088 and would not be set"));
}

TEST(Drift, OneThatCannotTellIsNoTrouble) {
  RunningFacts facts = running_with("");
  EXPECT_THAT(judge_drift(facts, {}, ""), says(Level::kSkipped, "does not say"));
  facts.config_status = 404;
  EXPECT_THAT(judge_drift(facts, {}, ""), says(Level::kSkipped, "cannot tell"));
  facts.life = Life::kNotThere;
  EXPECT_THAT(judge_drift(facts, {}, ""), says(Level::kSkipped, "not running"));
}

// --- servers ------------------------------------------------------------------------------------

ReachFacts stopped_at(Step step, const std::string& error = "why") {
  ReachFacts facts;
  facts.server = "host:443";
  facts.step = step;
  facts.error = error;
  facts.now_ms = kNow;
  return facts;
}

TEST(Reach, TheStepThatFailsIsNamed) {
  EXPECT_THAT(judge_reach(stopped_at(Step::kName)), says(Level::kError, "no address", "region"));
  EXPECT_THAT(judge_reach(stopped_at(Step::kConnect)), says(Level::kError, "no connection"));
  EXPECT_THAT(judge_reach(stopped_at(Step::kTls)), says(Level::kError, "TLS fails", "TLS 1.2"));
  ReachFacts slow = stopped_at(Step::kConnect);
  slow.timed_out = true;
  EXPECT_THAT(judge_reach(slow), says(Level::kError, "no answer within 5 s", "firewall"));
}

TEST(Reach, AProxyThatFailsIsNamedWithoutItsPassword) {
  ReachFacts facts = stopped_at(Step::kProxy);
  facts.proxy_failed = true;
  facts.proxy = "proxy:3128";
  facts.proxy_status = 403;
  EXPECT_THAT(judge_reach(facts),
              says(Level::kError, "refuses to connect to it (403)", "NO_PROXY"));
  facts.proxy_status = 407;
  EXPECT_THAT(judge_reach(facts), says(Level::kError, "407", "user:password@"));
  facts.step = Step::kConnect;
  EXPECT_THAT(judge_reach(facts), says(Level::kError, "takes no connection", "HTTPS_PROXY"));
}

TEST(Reach, CertificatesThatAreNotAcceptedSayWhy) {
  ReachFacts facts = stopped_at(Step::kTrust, "self-signed certificate in certificate chain");
  facts.top_issuer = "CN = Corporate Proxy CA";
  facts.expires_ms = kNow + 90 * kDay;
  EXPECT_THAT(judge_reach(facts),
              says(Level::kError, "not trusted here: CN = Corporate Proxy CA", "AWS_CA_BUNDLE"));
  facts.ca_file = "/etc/weir/ca.pem";
  EXPECT_THAT(judge_reach(facts), says(Level::kError, "", "'/etc/weir/ca.pem' must contain"));
  facts.expires_ms = kNow - 3 * kDay;
  EXPECT_THAT(judge_reach(facts), says(Level::kError, "expired 3 days ago", "renew"));
  EXPECT_THAT(judge_reach(stopped_at(Step::kTrust, "certificate is not yet valid")),
              says(Level::kError, "not valid yet", "clock"));
  EXPECT_THAT(judge_reach(stopped_at(Step::kTrust, "does not match target host name")),
              says(Level::kError, "another name"));
}

TEST(Reach, ACertificateThatEndsSoonIsAWarning) {
  ReachFacts facts = stopped_at(Step::kReached, "");
  facts.expires_ms = kNow + 5 * kDay;
  EXPECT_THAT(judge_reach(facts), says(Level::kWarning, "good for 5 days", "renewed"));
  facts.expires_ms = kNow + 50 * kDay;
  EXPECT_THAT(judge_reach(facts), says(Level::kOk, "connected with TLS"));
}

TEST(Proxy, IsChosenAsCurlDoes) {
  const std::map<std::string, std::string> environment = {
      {"https_proxy", "http://me:hunter2@proxy.example:3128/"},
      {"no_proxy", "localhost, .corp.example,10.0.0.1"}};
  EXPECT_EQ(proxy_for("kinesis.eu-west-1.amazonaws.com", true, environment).proxy,
            "proxy.example:3128");
  EXPECT_EQ(proxy_for("a.corp.example", true, environment).proxy, "");
  EXPECT_EQ(proxy_for("A.Corp.Example", true, environment).not_by_proxy, ".corp.example");
  EXPECT_EQ(proxy_for("notcorp.example", true, environment).proxy, "proxy.example:3128");
  EXPECT_EQ(proxy_for("anything", false, environment).proxy, "");
  EXPECT_EQ(proxy_for("anything", false, {{"HTTP_PROXY", "x:1"}}).proxy, "");
  EXPECT_EQ(proxy_for("anything", true, {{"ALL_PROXY", "x:1"}, {"NO_PROXY", "*"}}).proxy, "");
}

// --- deliveries ---------------------------------------------------------------------------------

TEST(Credentials, SourceAndEndAreTold) {
  destination::CredentialsView view;
  view.source = "environment";
  EXPECT_THAT(judge_credentials(view, "", kNow), says(Level::kOk, "from environment, without"));
  view.expires_ms = kNow + 3 * 3'600'000;
  EXPECT_THAT(judge_credentials(view, "", kNow), says(Level::kOk, "good for 3 hours"));
  view.expires_ms = kNow - 60'000;
  EXPECT_THAT(judge_credentials(view, "", kNow), says(Level::kError, "expired 60 s ago"));
  EXPECT_THAT(judge_credentials({}, "set AWS_ACCESS_KEY_ID", kNow),
              says(Level::kError, "set AWS_ACCESS_KEY_ID"));
}

TEST(Deliveries, TheSameDestinationIsAskedOnceHoweverManyExportsUseIt) {
  Subject subject;
  for (const char* const name : {"a", "b", "c"}) {
    Target target;
    target.stream = name;
    target.probe.spec.stream_name = name;
    target.probe.spec.config.type = model::ExportType::kHttp;
    target.probe.spec.config.target = "http://127.0.0.1:1/in";
    subject.targets.push_back(target);
  }
  const auto deliveries = std::make_shared<Deliveries>(subject);
  EXPECT_EQ(deliveries->reach_tasks().size(), 1U);
  EXPECT_EQ(deliveries->call_tasks().size(), 1U);
  EXPECT_TRUE(deliveries->local_findings().empty());
}

TEST(Deliveries, MoreDestinationsThanAreAskedAreCounted) {
  Subject subject;
  for (std::size_t i = 0; i < kCallsMax + 5; ++i) {
    Target target;
    target.stream = "s";
    target.probe.spec.config.type = model::ExportType::kHttp;
    target.probe.spec.config.target = "http://127.0.0.1:1/" + std::to_string(i);
    subject.targets.push_back(target);
  }
  const auto deliveries = std::make_shared<Deliveries>(subject);
  EXPECT_EQ(deliveries->call_tasks().size(), kCallsMax);
  EXPECT_THAT(deliveries->local_findings(), ElementsAre(says(Level::kSkipped, "5 more exports")));
}

TEST(Deliveries, ATargetThatIsNoAddressIsAnErrorBeforeAnythingIsAsked) {
  Subject subject;
  Target target;
  target.stream = "s";
  target.probe.spec.config.identifier = "e";
  target.probe.spec.config.type = model::ExportType::kHttp;
  target.probe.spec.config.target = "ftp://x";
  subject.targets.push_back(target);
  const auto deliveries = std::make_shared<Deliveries>(subject);
  EXPECT_THAT(deliveries->local_findings(), ElementsAre(says(Level::kError, "s/e: ")));
  EXPECT_TRUE(deliveries->call_tasks().empty());
}

// --- tasks --------------------------------------------------------------------------------------

TEST(Tasks, FindingsComeInTheOrderOfTheTasksWhoeverEndsFirst) {
  std::vector<Task> tasks;
  for (int i = 0; i < 20; ++i) {
    const Check check(Group::kWeir, "t" + std::to_string(i));
    tasks.push_back({check.error("late", ""),
                     [check](const std::stop_token&) { return Findings{check.ok("fine")}; }});
  }
  const TaskResults results = run_tasks(std::move(tasks), {});
  EXPECT_FALSE(results.abandoned);
  ASSERT_EQ(results.findings.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(results.findings[i].check, "t" + std::to_string(i));
  }
}

TEST(Tasks, OneThatHangsIsLeftBehindAndSaidNotToHaveEnded) {
  // Shared, because its thread outlives the run.
  struct Gate {
    Mutex mutex;
    CondVar changed;
    bool open = false;
    bool left = false;
  };
  const auto gate = std::make_shared<Gate>();
  const Check check(Group::kNetwork, "hangs");
  std::vector<Task> tasks;
  tasks.push_back({check.error("did not end", "see there"), [gate](const std::stop_token&) {
                     const MutexLock lock(gate->mutex);
                     while (!gate->open) gate->changed.wait(gate->mutex);
                     gate->left = true;
                     gate->changed.notify_all();
                     return Findings{};
                   }});
  tasks.push_back({check.error("late", ""),
                   [check](const std::stop_token&) { return Findings{check.ok("fine")}; }});
  const TaskResults results =
      run_tasks(std::move(tasks), {2, std::chrono::milliseconds(20), std::chrono::seconds(1)});
  EXPECT_TRUE(results.abandoned);
  EXPECT_THAT(results.findings,
              ElementsAre(says(Level::kError, "did not end"), says(Level::kOk, "fine")));
  const MutexLock lock(gate->mutex);
  gate->open = true;
  gate->changed.notify_all();
  while (!gate->left) gate->changed.wait(gate->mutex);
}

TEST(Tasks, OneThatTakesTooLongIsAskedToStop) {
  std::vector<Task> tasks;
  tasks.push_back({Check(Group::kWeir, "slow").error("late", ""), [](const std::stop_token& stop) {
                     Mutex mutex;
                     CondVar changed;
                     const std::stop_callback wake(stop, [&] {
                       const MutexLock lock(mutex);
                       changed.notify_all();
                     });
                     const MutexLock lock(mutex);
                     while (!stop.stop_requested()) changed.wait(mutex);
                     return Findings{Check(Group::kWeir, "slow").ok("stopped")};
                   }});
  const TaskResults results =
      run_tasks(std::move(tasks), {1, std::chrono::milliseconds(10), std::chrono::seconds(60)});
  EXPECT_FALSE(results.abandoned);
  EXPECT_THAT(results.findings, ElementsAre(says(Level::kOk, "stopped")));
}

// --- the report ---------------------------------------------------------------------------------

Findings one_of_each() {
  return {Check(Group::kStore, "sync").error("the disk is slow", "take another"),
          Check(Group::kWeir, "port").ok("port 8088"),
          Check(Group::kNetwork, "reach", "h:1").warning("soon over", "renew it"),
          Check(Group::kWeir, "drift").skipped("not running")};
}

TEST(Report, TroubleStandsLastAndTheWorstAtTheEnd) {
  const std::string text = text_report(one_of_each(), false, 0);
  EXPECT_EQ(text,
            "weir\n"
            "  ok       port 8088\n"
            "  skipped  not running\n"
            "to look at\n"
            "  warning  soon over\n"
            "    fix    renew it\n"
            "to fix\n"
            "  error    the disk is slow\n"
            "    fix    take another\n"
            "1 error, 1 warning, 1 ok, 1 skipped\n");
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_NE(text_report(one_of_each(), true, 0).find("\033[31merror"), std::string::npos);
}

TEST(Report, LongLinesAreBrokenBetweenWordsForAPhone) {
  const Findings findings = {
      Check(Group::kStore, "sync").ok("one two three four five six seven eight nine ten eleven")};
  std::istringstream lines(text_report(findings, false, 40));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    EXPECT_LE(line.size(), 40U) << line;
    ++count;
  }
  EXPECT_EQ(count, 4);
}

TEST(Report, JsonHasEveryCheckInTheOrderMade) {
  const auto document = nlohmann::json::parse(json_report(one_of_each()));
  EXPECT_EQ(document["format"], 1);
  EXPECT_EQ(document["errors"], 1);
  EXPECT_EQ(document["warnings"], 1);
  ASSERT_EQ(document["checks"].size(), 4U);
  EXPECT_EQ(document["checks"][0]["level"], "error");
  EXPECT_EQ(document["checks"][0]["group"], "store");
  EXPECT_EQ(document["checks"][0]["check"], "sync");
  EXPECT_EQ(document["checks"][0]["fix"], "take another");
  EXPECT_EQ(document["checks"][2]["subject"], "h:1");
}

}  // namespace
}  // namespace weir::doctor
