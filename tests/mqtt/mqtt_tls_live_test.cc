#include "broker.h"

#include <gmock/gmock.h>

namespace weir::mqtt {
namespace {

using ::testing::AnyOf;
using testing::Broker;
using ::testing::HasSubstr;
using testing::options_for;
using testing::Owner;
using namespace std::chrono_literals;

// Two authorities; certificates for a broker, for one that has expired, for a device.
constexpr const char* kCertificates = R"(
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
new_ca() { new_key "$1"; openssl req -x509 -new -key "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1"; }
new_certificate() {
  new_key "$1"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%s' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out "$1.pem" -days 10 -extfile "$1.ext"
}
new_ca gateway-ca
new_ca other-ca
new_certificate broker gateway-ca DNS:localhost
new_certificate device gateway-ca DNS:device
new_certificate stranger other-ca DNS:stranger
)";

class Tls : public ::testing::Test {
 protected:
  explicit Tls(std::string certificate = "broker", bool for_devices = true)
      : broker("allow_anonymous true\n", "cafile %D/gateway-ca.pem\ncertfile %D/" + certificate +
                                             ".pem\nkeyfile %D/" + certificate +
                                             ".key\nrequire_certificate " +
                                             (for_devices ? "true" : "false") + "\n") {}
  void SetUp() override {
    testing::run_script(kCertificates + more_certificates, broker.directory.path());
    broker.start();
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return broker.directory.path(name);
  }
  Options options() {
    Options made = options_for(broker);
    made.host = "localhost";
    made.tls = true;
    made.ca_file = file("gateway-ca.pem");
    made.certificate_file = file("device.pem");
    made.key_file = file("device.key");
    made.backoff_min = made.backoff_max = 1h;
    return made;
  }
  std::string loss(const Options& with) {
    Owner owner(with);
    owner.start();
    return owner.first_loss();
  }
  std::string more_certificates;
  Broker broker;
};

TEST_F(Tls, messages_go_both_ways_behind_certificates_of_both_sides) {
  for (const Version version : {Version::k5, Version::k311}) {
    Options with = options();
    with.version = version;
    Owner owner(with);
    owner.start();
    ASSERT_TRUE(owner.wait_connected()) << owner.first_loss();
    for (std::uint64_t i = 0; i < 300; ++i) {
      ASSERT_TRUE(owner.client->publish(i, "in/x", std::string(10'000, 'x')));
      if (i % 100 == 99) {
        ASSERT_TRUE(owner.wait_published(i + 1));
      }
    }
    EXPECT_TRUE(owner.wait_messages(300));
    ASSERT_TRUE(owner.client->publish(300, "in/x", std::string(1'000'000, 'y')));
    EXPECT_TRUE(owner.wait_messages(301));
    EXPECT_EQ(owner.payloads().back(), std::string(1'000'000, 'y'));
  }
}

TEST_F(Tls, a_broker_that_reads_slowly_gets_everything_in_the_end) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  EXPECT_EQ(testing::publish_to_a_stopped_broker(owner, broker), "");
}

TEST_F(Tls, an_authority_that_is_not_ours_is_named) {
  Options with = options();
  with.ca_file = file("other-ca.pem");
  const std::string why = loss(with);
  EXPECT_THAT(why, HasSubstr("'CN=gateway-ca', an authority of the broker's certificate, is not"));
  EXPECT_THAT(why, HasSubstr("other-ca.pem: self-signed certificate in certificate chain"));
  with.ca_file = "";
  EXPECT_THAT(loss(with), HasSubstr("not trusted by the authorities of this system"));
}

TEST_F(Tls, a_certificate_for_another_name_is_not_taken) {
  Options with = options();
  with.host = "127.0.0.1";
  EXPECT_THAT(loss(with),
              HasSubstr("certificate 'CN=broker' is for localhost, not for '127.0.0.1'"));
}

TEST_F(Tls, a_broker_that_wants_a_certificate_says_so) {
  Options with = options();
  with.certificate_file = with.key_file = "";
  EXPECT_THAT(loss(with),
              AnyOf(HasSubstr("wants a client certificate, and none is configured"),
                    HasSubstr("does it want a client certificate? None is configured")));
}

TEST_F(Tls, a_broker_that_does_not_take_our_certificate_says_so) {
  Options with = options();
  with.certificate_file = file("stranger.pem");
  with.key_file = file("stranger.key");
  const std::string why = loss(with);
  // The alert can be lost when the broker closes at once.
  EXPECT_THAT(why, AnyOf(HasSubstr("does not take our certificate"),
                         HasSubstr("does not take our client certificate")));
}

TEST_F(Tls, a_client_without_tls_is_told) {
  Options with = options();
  with.tls = false;
  with.ca_file = with.certificate_file = with.key_file = "";
  EXPECT_THAT(loss(with),
              AnyOf(HasSubstr("answers in TLS: switch TLS on"), HasSubstr("expect TLS")));
}

TEST_F(Tls, files_that_cannot_be_used_are_named_at_once) {
  const auto wrong = [](const Options& with) {
    const auto made = make_client(with);
    if (made) return std::string("accepted");
    EXPECT_EQ(made.error().code, Errc::kInvalidArgument);
    return made.error().what;
  };
  Options with = options();
  with.ca_file = file("nothing.pem");
  EXPECT_THAT(wrong(with), HasSubstr("nothing.pem: No such file"));
  with = options();
  with.key_file = file("stranger.key");
  EXPECT_THAT(wrong(with), HasSubstr("stranger.key: key values mismatch"));
  with = options();
  with.certificate_file = file("device.key");
  EXPECT_THAT(wrong(with), HasSubstr("read the client certificate"));
}

class TlsWithoutDevices : public Tls {
 protected:
  TlsWithoutDevices() : Tls("broker", false) {}
};

TEST_F(TlsWithoutDevices, a_certificate_that_is_replaced_is_read_again) {
  Options with = options();
  with.certificate_file = with.key_file = "";
  with.backoff_min = with.backoff_max = 20ms;
  const std::string ours = with.ca_file;
  with.ca_file = broker.directory.path("trusted.pem");
  std::filesystem::copy_file(file("other-ca.pem"), with.ca_file);
  Owner owner(with);
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("not trusted"));
  std::filesystem::rename(ours, with.ca_file);
  EXPECT_TRUE(owner.wait_connected());
}

class TlsExpired : public Tls {
 protected:
  TlsExpired() : Tls("old", false) {
    more_certificates = R"(
new_key old
openssl req -new -key old.key -out old.csr -subj /CN=old
printf 'subjectAltName=DNS:localhost' >old.ext
faketime '2020-03-01 12:00:00' openssl x509 -req -in old.csr -CA gateway-ca.pem -CAkey gateway-ca.key -CAcreateserial -out old.pem -days 10 -extfile old.ext
)";
  }
};

TEST_F(TlsExpired, the_day_is_said) {
  Options with = options();
  with.certificate_file = with.key_file = "";
  EXPECT_THAT(loss(with), HasSubstr("certificate 'CN=old' has expired at 2020-03-11"));
}

TEST(TlsMissing, a_broker_without_tls_is_called_so) {
  Broker broker;
  broker.start();
  Options with = options_for(broker);
  with.host = "localhost";
  with.tls = true;
  with.backoff_min = with.backoff_max = 1h;
  Owner owner(with);
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("TLS"));
  EXPECT_THAT(owner.first_loss(),
              AnyOf(HasSubstr("does it speak TLS?"), HasSubstr("does not speak TLS"),
                    HasSubstr("Connection reset")));
}

}  // namespace
}  // namespace weir::mqtt
