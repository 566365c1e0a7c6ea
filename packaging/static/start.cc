// What the static program does before main, and no other weir: it runs on systems that it was not
// built on. Linked by scripts/build-static.

#include <array>
#include <cstdlib>
#include <netdb.h>
#include <nss.h>
#include <openssl/x509.h>
#include <unistd.h>

namespace {

// Where distributions keep the authorities that they trust, as one file.
constexpr std::array kBundles = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch, Yocto
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL, Amazon Linux
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // newer RHEL
    "/opt/etc/ssl/certs/ca-certificates.crt",             // Entware
};

// OpenSSL and curl are built for Debian's place; where that is absent they look into this variable.
void find_authorities() {
  const char* variable = ::X509_get_default_cert_file_env();
  if (std::getenv(variable) != nullptr ||
      std::getenv(::X509_get_default_cert_dir_env()) != nullptr) {
    return;
  }
  if (::access(::X509_get_default_cert_file(), R_OK) == 0) return;
  for (const char* bundle : kBundles) {
    if (::access(bundle, R_OK) != 0) continue;
    ::setenv(variable, bundle, 0);
    return;
  }
}

// What /etc/nsswitch.conf names beside files and DNS are libraries of that system's own glibc,
// which cannot be loaded into a program that brings another one.
void resolve_without_plugins() {
  ::__nss_configure_lookup("hosts", "files dns");
  for (const char* database : {"passwd", "group", "services", "protocols"}) {
    ::__nss_configure_lookup(database, "files");
  }
}

[[gnu::constructor]] void start() {
  find_authorities();
  resolve_without_plugins();
}

}  // namespace
