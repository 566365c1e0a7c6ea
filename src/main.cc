#include "daemon/command.h"

int main(int argc, char** argv) { return weir::daemon::run_command(argc, argv); }
