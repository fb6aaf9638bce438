/* SPDX-License-Identifier: MIT */
/* Where the other files of this build or installation are, told from where the program itself is. */
#ifndef COW_CLI_PATHS_H
#define COW_CLI_PATHS_H

/* Directory of plugins: chosen, else COWHERD_PLUGIN_DIR, else beside the program; to be freed. */
char *cow_paths_plugin_dir(const char *chosen);
/* Directory of cowherd-init: COWHERD_LIBEXEC_DIR, else beside the program. */
char *cow_paths_libexec_dir(void);

#endif
