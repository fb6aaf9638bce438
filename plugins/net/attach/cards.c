/* SPDX-License-Identifier: MIT */
#include "attach/cards.h"

#include "common/util.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A card that some network stands on. */
struct card {
	struct card *next;
	bool gone;
	char name[NET_LINK_SIZE];
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct card *cards;
	uint64_t watch;
	int fd;
} live = { .fd = -1 };

/* ---- in the pool */

struct news {
	char card[NET_LINK_SIZE];
	bool gone;
	char *networks;
	struct plug_error err;
};

static int news_work(void *arg)
{
	struct news *news = arg;
	struct net_state *s = net_state_peek();

	return s ? net_cards_mend(s, news->card, news->gone, &news->networks, &news->err) : 0;
}

static void news_done(void *arg, int result)
{
	struct news *news = arg;
	char text[512];

	if (result < 0 && result != -ECANCELED)
		live.host->log(live.self, COWHERD_LOG_ERROR, NULL, "net.card", news->err.text);
	if (news->networks) {
		(void)snprintf(text, sizeof(text), "adapter %s: %s; networks: %.400s", news->card,
			       news->gone ? "has gone, and cuts containers off" : "is back", news->networks);
		live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.card", text);
	}
	free(news->networks);
	free(news);
}

static void tell(const struct card *card)
{
	struct news *news = calloc(1, sizeof(*news));

	if (!news)
		return;
	memcpy(news->card, card->name, sizeof(news->card));
	news->gone = card->gone;
	if (live.host->offload(live.self, news_work, news_done, news) < 0)
		free(news);
}

/* ---- what the kernel says */

static void look(const struct nlmsghdr *m)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(m);
	bool gone = m->nlmsg_type == RTM_DELLINK;
	bool back = m->nlmsg_type == RTM_NEWLINK && info->ifi_flags & IFF_UP;
	const struct nlattr *a;
	const char *name = NULL;

	/* A bridge's ports come and go by messages of the same kind. */
	if ((!gone && !back) || info->ifi_family != AF_UNSPEC)
		return;
	net_attr_each(a, m, sizeof(*info))
		if (mnl_attr_get_type(a) == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			name = mnl_attr_get_str(a);
	for (struct card *card = live.cards; card && name; card = card->next)
		if (strcmp(card->name, name) == 0 && card->gone != gone) {
			card->gone = gone;
			tell(card);
		}
}

/* More was said than there is room for: what is said now is not all. */
static void look_all(void)
{
	for (struct card *card = live.cards; card; card = card->next) {
		bool gone = !if_nametoindex(card->name);

		if (card->gone != gone) {
			card->gone = gone;
			tell(card);
		}
	}
}

static void readable(void *arg, int fd, uint32_t events)
{
	char buffer[16384];
	ssize_t n;

	(void)arg;
	(void)events;
	errno = 0;
	while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		const struct nlmsghdr *m = (const struct nlmsghdr *)buffer;
		int left = n > (ssize_t)sizeof(buffer) ? 0 : (int)n;

		for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
			if (m->nlmsg_len >= mnl_nlmsg_size(sizeof(struct ifinfomsg)))
				look(m);
	}
	if (n < 0 && errno == ENOBUFS)
		look_all();
}

static int watch_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return plug_take_fd(&fd);
}

static void watch(void)
{
	struct plug_error err;
	int r = live.fd = watch_open();

	if (r >= 0)
		r = live.host->watch_fd(live.self, live.fd, COWHERD_FD_READ, readable, NULL, &live.watch);
	if (r < 0) {
		(void)plug_error_errno(&err, r, "watch of adapters");
		live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.card", err.text);
	}
}

void net_cards_note(const struct net_network *n)
{
	struct card *card = live.cards;

	if (!n->adapter || n->type == NET_CNI)
		return;
	while (card && strcmp(card->name, n->adapter) != 0)
		card = card->next;
	if (card)
		return;
	card = calloc(1, sizeof(*card));
	if (!card)
		return;
	(void)snprintf(card->name, sizeof(card->name), "%s", n->adapter);
	/* Not there as the supervisor began: it is news when it comes. */
	card->gone = !if_nametoindex(card->name);
	card->next = live.cards;
	live.cards = card;
	if (live.fd < 0)
		watch();
}

void net_cards_start(const struct cowherd_host *host, struct cowherd_self *self)
{
	live.host = host;
	live.self = self;
}

void net_cards_finish(void)
{
	if (live.watch)
		live.host->unwatch_fd(live.self, live.watch);
	plug_closep(&live.fd);
	live.fd = -1;
	live.watch = 0;
	for (struct card *next; live.cards; live.cards = next) {
		next = live.cards->next;
		free(live.cards);
	}
}
