/* Start-up: everything else is in the library, so that tests and benchmarks can link it. */
#include "segue/cli/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
