/* SPDX-License-Identifier: MIT */
/*
 * Service "cowherd.hosting", version 1: hosting systems, which are utility VMs that containers run in, for
 * the plugins that put devices into them.  Provided by the plugin that runs the VMs; the net plugin uses it
 * for network cards.  A container names its hosting system with the create option "hosting_system", or the
 * plugin of the VM does in an earlier phase, with the annotation below.
 *
 *	const struct cowherd_hosting *hosting =
 *		host->lookup(self, COWHERD_SERVICE_HOSTING, COWHERD_HOSTING_VERSION);
 *
 * Threads: everything here is called, and answers, on the loop's thread.  Ownership: all that is passed is
 * read during the call only; copy what you keep.  Structs grow at their end, each begins with its size, as
 * cowherd/plugin.h has it.
 */
#ifndef COWHERD_HOSTING_H
#define COWHERD_HOSTING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COWHERD_SERVICE_HOSTING "cowherd.hosting"
#define COWHERD_HOSTING_VERSION 1

/* In the annotations of a spec: the id of its hosting system.  The create option comes first. */
#define COWHERD_HOSTING_ANNOTATION "cowherd.hosting-system"

#define COWHERD_HOSTING_WINDOWS 0x1u /* a Windows guest; else a Linux one */
/* The guest takes network namespaces and adapters (hcsshim: NamespaceAddRequestSupported). */
#define COWHERD_HOSTING_NAMESPACES 0x2u

/* What is known of a hosting system that runs.  size: set by the asker. */
struct cowherd_hosting_system {
	size_t size;
	uint32_t flags; /* COWHERD_HOSTING_… */
	uint32_t reserved;
};

enum cowherd_hosting_side {
	COWHERD_HOSTING_HOST = 0,  /* a device of the virtual machine */
	COWHERD_HOSTING_GUEST = 1, /* a request to the agent inside */
};

/*
 * One change, in HCS's words: a ModifySettingRequest of which either the host's part or the guest's is sent.
 *
 *	side   resource                       type    settings
 *	host   VirtualMachine/Devices/        Add     {"EndpointId","MacAddress"}
 *	       NetworkAdapters/NIC-GUID       Remove  the same
 *	guest  Network, of a Linux guest      Add     LCOWNetworkAdapter
 *	                                      Remove  {"NamespaceID","ID"}
 *	guest  Network, of a Windows guest    Add     {"AdapterId","RequestType":"PreAdd",
 *	                                               "Settings": the endpoint, as HNS has it}
 *	                                      Add     {"AdapterId","RequestType":"Add"}
 *	                                      Remove  {"AdapterId","RequestType":"Remove"}
 *	guest  NetworkNamespace, of           Add     the namespace, as HCN has it
 *	       a Windows guest                Remove  {"ID"}
 *
 * netns, link: with a network adapter's host part, where its packets go: the interface `link` in the network
 * namespace at the path `netns` has the endpoint's MAC address and is up; whoever runs the VM joins its card
 * to it.  NULL otherwise.
 */
struct cowherd_hosting_request {
	size_t size;
	const char *system;    /* id of the hosting system */
	const char *container; /* for whose sake */
	const char *resource;
	const char *type;      /* "Add", "Remove" */
	const char *settings;  /* JSON object */
	const char *netns, *link;
	uint32_t side;         /* enum cowherd_hosting_side */
	uint32_t reserved;
};

/* code: 0 or a negative errno; message: "object: cause" with an error, or NULL. */
typedef void (*cowherd_hosting_cb)(void *arg, int code, const char *message);

struct cowherd_hosting {
	size_t size;
	/* -ESRCH: there is no such system, or it does not run. */
	int (*describe)(const char *system, struct cowherd_hosting_system *ret);
	/*
	 * Does one change.  0: cb is called once, later, never from inside this call; negative errno: it
	 * is not called.  An Add that failed has changed nothing.  A Remove of what is not there succeeds,
	 * also of a system that is gone: it is asked for again after a crash.
	 */
	int (*modify)(const struct cowherd_hosting_request *request, cowherd_hosting_cb cb, void *arg);
	/*
	 * Whoever asked with these does not want to know any more: answer soon, any way.  The change may
	 * have been made then; the asker will have it removed.
	 */
	void (*cancel)(cowherd_hosting_cb cb, void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
