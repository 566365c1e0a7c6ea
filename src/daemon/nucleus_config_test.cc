// Configuration as a Greengrass nucleus hands it on to the component it starts.

#include "daemon/config.h"
#include "daemon/nucleus_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::daemon {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

LoadedConfig load(std::map<std::string, std::string> environment, const std::string& yaml = "") {
  ConfigSources rest;
  rest.environment = std::move(environment);
  return parse_config(yaml, "weir.yaml", rest);
}

std::string problems(const LoadedConfig& loaded) {
  std::string all;
  for (const auto& each : loaded.problems) all += each.text() + "\n";
  return all;
}

TEST(NucleusValues, whole_numbers_come_in_many_forms) {
  for (const auto& [given, plain] : std::map<std::string, std::string>{{"8088", "8088"},
                                                                       {"8088.0", "8088"},
                                                                       {"8088.000", "8088"},
                                                                       {"8.088E3", "8088"},
                                                                       {"8.088e+3", "8088"},
                                                                       {"1.0E7", "10000000"},
                                                                       {"5242880.0", "5242880"},
                                                                       {" 8088.0 ", "8088"},
                                                                       {"-1.0", "-1"},
                                                                       {"0.0", "0"},
                                                                       {"-0.0", "0"},
                                                                       {"", ""},
                                                                       {"  ", ""}}) {
    EXPECT_EQ(whole_number_text(given), plain) << given;
  }
}

TEST(NucleusValues, what_is_no_whole_number_is_left_alone) {
  for (const char* text : {"8088.5", "1e99", "1e16", "inf", "nan", "0x1F98", "eighty", "1.2.3", "e",
                           ".", "/data/1.0", "8088.0 9", "1e", "--1.0"}) {
    EXPECT_EQ(whole_number_text(text), text);
  }
}

TEST(NucleusConfig, every_number_may_be_a_float_or_text) {
  const auto loaded = load({{"STREAM_MANAGER_SERVER_PORT", "8100.0"},
                            {"STREAM_MANAGER_AUTHENTICATE_CLIENT", "False"},
                            {"STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH", "1.0E7"},
                            {"STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", " 7 "},
                            {"STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS", "0.0"},
                            {"STREAM_MANAGER_EXPORTER_S3_DESTINATION_MULTIPART_UPLOAD_MIN_PART_"
                             "SIZE_BYTES",
                             "5242880.0"},
                            {"WEIR_ADMIN_PORT", "8101.0"},
                            {"LOG_LEVEL", "warn"}});
  EXPECT_EQ(problems(loaded), "");
  EXPECT_EQ(loaded.config.server.port, 8100);
  EXPECT_FALSE(loaded.config.server.authenticate_client);
  EXPECT_EQ(loaded.config.transport.bandwidth_bits_per_second, 10'000'000'000);
  EXPECT_EQ(loaded.config.exporter.worker_count, 7);
  EXPECT_EQ(loaded.config.export_defaults.kinesis.inter_call_delay_ms, 0);
  EXPECT_EQ(loaded.config.export_defaults.s3.part_bytes_min, 5'242'880);
  EXPECT_EQ(loaded.config.admin.port, 8101);
}

TEST(NucleusConfig, the_components_own_document_may_be_the_file) {
  const auto loaded =
      load({}, R"({"STREAM_MANAGER_SERVER_PORT": 8100.0, "STREAM_MANAGER_THREAD_POOL_SIZE": "3"})");
  EXPECT_EQ(problems(loaded), "");
  EXPECT_EQ(loaded.config.server.port, 8100);
  EXPECT_EQ(loaded.config.exporter.worker_count, 3);
}

TEST(NucleusConfig, what_is_wrong_is_named_with_the_fix) {
  struct Case {
    const char* name;
    const char* value;
    const char* what;
  };
  for (const Case& each :
       {Case{"STREAM_MANAGER_SERVER_PORT", "8088.5", "write digits only"},
        Case{"STREAM_MANAGER_SERVER_PORT", "70000.0", "allowed are 0 to 65535"},
        Case{"STREAM_MANAGER_AUTHENTICATE_CLIENT", "1.0", "neither true nor false"},
        Case{"STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", "many", "write digits only"},
        Case{"STREAM_MANAGER_STORE_ROOT_DIR", "data", "must start with '/'"},
        Case{"LOG_LEVEL", "LOUD", "not one of TRACE"}}) {
    const auto loaded = load({{each.name, each.value}});
    ASSERT_THAT(loaded.problems, SizeIs(1)) << each.name;
    EXPECT_THAT(problems(loaded), HasSubstr(each.name));
    EXPECT_THAT(problems(loaded), HasSubstr(each.what));
  }
}

TEST(NucleusConfig, empty_values_and_variables_without_a_value_count_as_unset) {
  const auto loaded = load({{"STREAM_MANAGER_SERVER_PORT", ""},
                            {"STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH",
                             "{configuration:/STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH}"},
                            {"LOG_LEVEL", "{configuration:/LOG_LEVEL}"},
                            {"WEIR_ADMIN_PORT", "{configuration:/WEIR_ADMIN_PORT}"}});
  EXPECT_EQ(problems(loaded), "");
  EXPECT_EQ(loaded.config.server.port, 8088);
  EXPECT_EQ(loaded.config.admin.port, 8089);
  EXPECT_THAT(loaded.config.notes,
              Contains(HasSubstr("LOG_LEVEL is '{configuration:/LOG_LEVEL}'")));
}

TEST(NucleusConfig, what_the_nucleus_gives_is_kept_and_its_token_is_no_key_of_a_file) {
  const auto loaded =
      load({{"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "/greengrass/v2/ipc.socket"},
            {"SVCUID", "ABCDEFGHIJKLMNOP"}});
  EXPECT_EQ(problems(loaded), "");
  EXPECT_TRUE(loaded.config.greengrass.present());
  EXPECT_EQ(loaded.config.greengrass.socket, "/greengrass/v2/ipc.socket");
  EXPECT_EQ(loaded.config.greengrass.auth_token, "ABCDEFGHIJKLMNOP");
  EXPECT_THAT(problems(load({}, "SVCUID: ABC\n")), HasSubstr("SVCUID"));
  EXPECT_FALSE(load({}).config.greengrass.present());
}

}  // namespace
}  // namespace weir::daemon
