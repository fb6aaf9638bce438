/* SPDX-License-Identifier: MIT */
/* The verb port: `cowherd port CONTAINER [PORT[/PROTOCOL]]`, with docker's output.  Loop thread. */
#ifndef NET_VERBS_PORT_H
#define NET_VERBS_PORT_H

int net_port_register(void);

#endif
