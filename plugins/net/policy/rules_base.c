/* SPDX-License-Identifier: MIT */
/*
 * The table.  What it does, in the order of a packet's way:
 *
 * raw		127.0.0.0/8 is never reached by a bridge, although route_localnet is set there for published
 *		ports that are asked for on the host itself.
 * prerouting	what an endpoint with a proxy connects to goes to the proxy; ports of load balancers and
 *		published ones go to the container.  output: the same for what the host itself asks for.
 * forward	neighbours find each other, as by ARP; access lists of the sender; then networks are kept
 *		apart: within a network, to published ports and to the outside there is a way; then access
 *		lists of the receiver.
 * input, filter	the same between the host and a container.
 * postrouting	whoever reaches a neighbour by a published port, or by the host's loopback, has the bridge's
 *		address, or answers would not come back this way; what leaves for the outside has the host's.
 *
 * A chain is left by return, never by accept, where others still have to look.  What most packets meet comes
 * first: they belong to connections that were let through before (known).  Of those only access lists are
 * asked again, and only for who began them: a new list counts for connections that are there, and answers
 * pass.
 */
#include "policy/rules_private.h"

#define SETS_OF(f, address)                                                                        \
	"	map port" f " { type inet_proto . inet_service : " address " . inet_service; }\n"   \
	"	map range" f " { type inet_proto . inet_service : " address "; flags interval; }\n" \
	"	map hostport" f " { type " address " . inet_proto . inet_service : " address        \
	" . inet_service; }\n"                                                                      \
	"	map hostrange" f " { type " address " . inet_proto . inet_service : " address       \
	"; flags interval; }\n"                                                                     \
	"	map balance" f " { type inet_proto . inet_service : verdict; }\n"                   \
	"	map vip" f " { type " address " . inet_proto . inet_service : verdict; }\n"         \
	"	map viptcp" f " { type " address " . inet_service : " address "; }\n"              \
	"	map vipudp" f " { type " address " . inet_service : " address "; }\n"              \
	"	set home" f " { type ifname . " address "; flags interval; }\n"                     \
	"	set nat" f " { type " address "; flags interval; }\n"                               \
	"	set except" f " { type " address " . " address "; flags interval; }\n"              \
	"	set towards" f " { type " address " . " address "; flags interval; }\n"             \
	"	set only" f " { type " address "; }\n"                                              \
	"	set outbound" f " { type " address "; }\n"                                          \
	"	map source" f " { type " address " : " address "; }\n"                              \
	"	map proxy" f " { type " address " : verdict; }\n"                                   \
	"	map aclout" f " { type " address " : verdict; }\n"                                  \
	"	map aclin" f " { type " address " : verdict; }\n"                                   \
	"	set alone" f " { type " address "; }\n"

#define CHAINS_OF(f, ip, loopback, own)                                                                \
	"	chain published" f " {\n"                                                          \
	"		" ip " daddr . meta l4proto . th dport vmap @vip" f "\n"                    \
	"		dnat " ip " to " ip " daddr . meta l4proto . th dport map @hostport" f "\n" \
	"		dnat " ip " to " ip " daddr . meta l4proto . th dport map @hostrange" f "\n" \
	own "		fib daddr type != local return\n"                                       \
	"		meta l4proto . th dport vmap @balance" f "\n"                               \
	"		dnat " ip " to meta l4proto . th dport map @port" f "\n"                    \
	"		dnat " ip " to meta l4proto . th dport map @range" f "\n"                   \
	"	}\n"                                                                                \
	"	chain home" f " {\n"                                                                \
	"		ct status & dnat == 0 return\n"                                             \
	"		meta l4proto 6 snat " ip " to ct original " ip " daddr . ct original "      \
	"proto-dst map @viptcp" f "\n"                                                             \
	"		meta l4proto 17 snat " ip " to ct original " ip " daddr . ct original "     \
	"proto-dst map @vipudp" f "\n"                                                             \
	"		masquerade\n"                                                               \
	"	}\n"                                                                                \
	"	chain leaving" f " {\n"                                                             \
	"		snat " ip " to " ip " saddr map @source" f "\n"                             \
	"		masquerade\n"                                                               \
	"	}\n"                                                                                \
	"	chain source" f " {\n"                                                              \
	"		" ip " saddr " loopback " oifname @bridges masquerade\n"                    \
	"		oifname . " ip " saddr @home" f " goto home" f "\n"                         \
	"		oifname @bridges return\n"                                                 \
	"		" ip " saddr . " ip " daddr @except" f " return\n"                          \
	"		" ip " saddr . " ip " daddr @towards" f " goto leaving" f "\n"              \
	"		" ip " saddr @only" f " return\n"                                           \
	"		" ip " saddr @outbound" f " goto leaving" f "\n"                            \
	"		" ip " saddr @nat" f " masquerade\n"                                        \
	"	}\n"

static const char sets[] =
	"	set generation { type mark; }\n"
	"	set bridges { type ifname; }\n"
	"	set within { type ifname . ifname; }\n"
	"	set closed { type ifname; }\n"
	"	set private { type ifname; }\n"
	"	set hidden { type ifname; }\n";
static const char sets4[] = SETS_OF("4", "ipv4_addr");
static const char sets6[] = SETS_OF("6", "ipv6_addr");
static const char chains4[] = CHAINS_OF("4", "ip", "127.0.0.0/8", "");
/*
 * Answers to ::1 come through a bridge only where nobody filters there (bridge.c): a port is published there
 * where that was asked for.  Who asks for another one is refused at once, as nobody listens, and most go on
 * to 127.0.0.1 then.
 */
static const char chains6[] = CHAINS_OF("6", "ip6", "::1", "		ip6 daddr ::1 return\n");
static const char chains[] =
	"	chain published {\n"
	"		meta l4proto != { 6, 17, 132 } return\n"
	"		meta nfproto vmap { ipv4 : goto published4, ipv6 : goto published6 }\n"
	"	}\n"
	"	chain sending {\n"
	"		ip saddr vmap @aclout4\n"
	"		ip6 saddr vmap @aclout6\n"
	"	}\n"
	"	chain arriving {\n"
	"		ip daddr vmap @aclin4\n"
	"		ip6 daddr vmap @aclin6\n"
	"	}\n"
	"	chain neighbours {\n"
	"		ip saddr @alone4 drop\n"
	"		ip daddr @alone4 drop\n"
	"		ip6 saddr @alone6 drop\n"
	"		ip6 daddr @alone6 drop\n"
	"		goto arriving\n"
	"	}\n"
	"	chain known {\n"
	"		ct direction reply accept\n"
	"		iifname @bridges jump sending\n"
	"		oifname @bridges jump arriving\n"
	"		accept\n"
	"	}\n";
static const char hooks[] =
	"	chain raw {\n"
	"		type filter hook prerouting priority raw; policy accept;\n"
	"		ip daddr 127.0.0.0/8 iifname @bridges drop\n"
	"	}\n"
	"	chain prerouting {\n"
	"		type nat hook prerouting priority dstnat; policy accept;\n"
	"		ip saddr vmap @proxy4\n"
	"		ip6 saddr vmap @proxy6\n"
	"		jump published\n"
	"	}\n"
	"	chain output {\n"
	"		type nat hook output priority -100; policy accept;\n"
	"		jump published\n"
	"	}\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		meta nfproto vmap { ipv4 : jump source4, ipv6 : jump source6 }\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority filter; policy accept;\n"
	"		ct state established,related goto known\n"
	"		iifname . oifname @within meta l4proto 58 icmpv6 type { 135, 136 } accept\n"
	"		iifname @bridges jump sending\n"
	"		iifname . oifname @within goto neighbours\n"
	"		iifname @closed drop\n"
	"		oifname @closed drop\n"
	"		ct status & dnat != 0 goto arriving\n"
	"		iifname @bridges oifname @bridges drop\n"
	"		oifname @hidden drop\n"
	"		oifname @bridges goto arriving\n"
	"	}\n"
	"	chain input {\n"
	"		type filter hook input priority filter; policy accept;\n"
	"		ct state established,related goto known\n"
	"		iifname != @bridges accept\n"
	"		iifname @private drop\n"
	"		meta l4proto 58 icmpv6 type { 133, 134, 135, 136 } accept\n"
	"		goto sending\n"
	"	}\n"
	"	chain filter {\n"
	"		type filter hook output priority filter; policy accept;\n"
	"		ct state established,related goto known\n"
	"		oifname != @bridges accept\n"
	"		oifname @private drop\n"
	"		meta l4proto 58 icmpv6 type { 133, 134, 135, 136 } accept\n"
	"		goto arriving\n"
	"	}\n";

void net_rules_base(const char *table, struct plug_text *add)
{
	/* Added first, so that there is one to delete. */
	plug_text_add(add, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", table, table, table);
	plug_text_add(add, "%s%s%s%s%s%s%s}\n", sets, sets4, sets6, chains4, chains6, chains, hooks);
}
