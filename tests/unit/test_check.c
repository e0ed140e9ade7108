/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/arena.h"
#include "compiler/check.h"
#include "compiler/diagnostic.h"
#include "compiler/ipfix.h"
#include "compiler/units.h"

struct fixture {
	struct amon_arena *arena;
	struct amon_diagnostics diagnostics;
	struct amon_define defines[4];
	struct amon_check_options options;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fixture->arena = amon_arena_new();
	fixture->options.defines = fixture->defines;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	amon_arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static void define(struct fixture *fixture, const char *name, const char *value)
{
	fixture->defines[fixture->options.define_count++] = (struct amon_define){ name, value, false };
}

/* The text is a file, a section, or what stands in an `ingress` section. */
static struct amon_probe *check(struct fixture *fixture, const char *text)
{
	const struct amon_source *source = amon_source_from_text(fixture->arena, "t", text, strlen(text));

	amon_diagnostics_init(&fixture->diagnostics, fixture->arena);
	return amon_check(fixture->arena, amon_parse_fragment(fixture->arena, source, &fixture->diagnostics),
	                  &fixture->options, &fixture->diagnostics);
}

static struct amon_probe *must_check(struct fixture *fixture, const char *text)
{
	struct amon_probe *probe = check(fixture, text);

	if (!probe) {
		amon_diagnostics_print(&fixture->diagnostics, stderr, false);
		fail_msg("refused: %s", text);
	}
	return probe;
}

/* --- what is wrong */

/* `@` stands before the place where the one error is found, `$` before the one note; neither is part of the text. */
struct wrong {
	const char *text;
	const char *message; /* a part of it */
	const char *help;    /* a part of it; NULL: not looked at */
};

static const struct wrong wrong_names[] = {
	{ "metric a = sum(@frame.lenn);", "no field `frame.lenn`", "`frame.len`" },
	{ "where @tpc; metric a = count();", "no protocol, `let` or `param` `tpc`", "`tcp`" },
	{ "let threshold = 5; metric a = count() where ip.ttl > @treshold;", "`treshold`", "`threshold`" },
	{ "metric a = @cuont();", "no aggregation cuont()", "`count`" },
	{ "metric a = sum(@asb(ip.ttl));", "no function asb()", "`abs`" },
	{ "metric a = @abs(ip.ttl);", "abs() is no aggregation", "sum(abs(" },
	{ "metric a = count() where @sum(ip.ttl) > 3;", "sum() is an aggregation", "`metric`" },
	{ "metric a = sum(frame.len) unit @byts;", "no unit `byts`", "`bytes`" },
	{ "metric a = count() unit @packts;", "no unit `packts`", "`packets`" },
	{ "metric abc = count(); derive d = @abd;", "`abd`", "`abc`" },
	{ "egress { metric abc = count(); derive d = @egress.abd; }", "`egress.abd`", "`egress.abc`" },
	{ "metric a = sum(@tcp.seq);", "`tcp.seq` cannot be used", NULL },
	{ "metric a = count() where @ip.addr == 10.0.0.1;", "`ip.addr` cannot be used", NULL },
	{ "metric a = sum(@tcp.payload);", "which bytes", "tcp.payload[0:4]" },
	{ "metric a = sum(@tcp.payload[0:9]);", "1 to 8 bytes", NULL },
	{ "metric a = sum(@tcp.payload[1020:8]);", "within the first 1024 bytes", NULL },
	{ "metric a = sum(@tcp.flags[0]);", "cannot be sliced", NULL },
	{ "metric b = count(); metric a = count() where @b > 3;", "packets cannot read the metric `b`", NULL },
	{ "table t by k = ip.ttl { metric a = count() where @k > 3; }", "packets cannot read the key `k`", "let" },
	{ "let x = 3; metric b = count(); derive a = @x + b;", "`x` is a `let`", NULL },
	{ "metric b = count(); derive a = @ip.ttl + b;", "known for packets", "metric" },
	{ "table t by ip.src { metric b = count(); } derive a = @t.b;", "read inside it", "later version" },
	{ "metric a = count() where @window > 3s;", "known at export", NULL },
	{ "metric a = count() where @log2(ip.ttl) > 3;", "computed at export", NULL },
	{ "metric a = count(); derive b = @u8(a);", "is for packets", NULL },
};

static const struct wrong wrong_definitions[] = {
	{ "metric $a = count(); metric @a = count();", "`a` is defined twice", NULL },
	{ "metric $a = count(); derive @a = 1;", "`a` is defined twice", NULL },
	{ "metric $a = count(); table @a by ip.src { metric b = count(); }", "`a` is defined twice", NULL },
	{ "table t by $ip.src, @ip.src { metric b = count(); }", "`ip.src` is defined twice", NULL },
	{ "table t by $a = ip.src { metric @a = count(); }", "`a` is defined twice", NULL },
	{ "let $x = 1; table t by ip.src { let @x = 2; metric a = count(); }", "hides another `x`", NULL },
	{ "param $x = 1; probe p { let @x = 2; ingress { } }", "hides another `x`", NULL },
	{ "probe p { $ingress { } @ingress { } }", "a second section is called `ingress`", "as NAME" },
	{ "probe p { $ingress tc { } egress { } @ingress xdp { } }", "a second section", "as NAME" },
	{ "let @tcp = 1; metric a = count();", "it is a protocol", NULL },
	{ "metric @window = count();", "`window`", NULL },
	{ "probe @window { ingress { } }", "no probe may be called `window`", NULL },
	{ "probe p { ingress as @net { } }", "fields begin with it", NULL },
	{ "probe p { ingress as @metrics { } }", "no section may be called `metrics`", NULL },
	{ "probe p { ingress as @interface { } }", "no section may be called `interface`", NULL },
	{ "table @frame by ip.src { metric a = count(); }", "fields begin with it", NULL },
	{ "table @dns by ip.src { metric a = count(); }", "fields begin with it", NULL },
	{ "table t by ip.src { metric @end_reason = count(); }", "`end_reason`", NULL },
	{ "table t by @forward_guessed = ip.src { metric a = count(); }", "`forward_guessed`", NULL },
	{ "let @forward = tcp; metric a = count();", "`forward`", NULL },
	{ "let a = b; let b = @a; metric m = sum(a);", "`a` needs itself: a, b, a", NULL },
	{ "let s = {1, @s}; metric m = count() where ip.ttl in s;", "`s` needs itself: s, s", NULL },
	{ "derive a = b + 1; derive b = c; derive c = @a;", "`a` needs itself: a, b, c, a", NULL },
	{ "metric $a = count() as \"x\"; metric @b = count() as \"x\";", "two columns are exported as `x`", NULL },
	{ "metric $a = count(); metric @b = count() as \"a\";", "two columns are exported as `a`", NULL },
	{ "metric a = count() as @\"\";", "name is empty", NULL },
	{ "probe $p { ingress { } } probe @q { ingress { } }", "one probe", NULL },
	{ "probe @p { window 1s; }", "has no section", "ingress" },
};

static const struct wrong wrong_sections[] = {
	{ "ingress xdp @offload { }", "cannot be offloaded", NULL },
	{ "ingress xdp @nativ { }", "`native` or `generic`", "`native`" },
	{ "ingress @xpd { }", "`xdp` or `tc`", "`xdp`" },
	{ "ingress tc @native { }", "no modes", NULL },
	{ "egress @xdp { }", "always at TC", NULL },
	{ "$ingress xdp native { } @ingress xdp generic as b { }", "one mode", NULL },
	{ "$ingress xdp, @ingress tc { }", "count each packet twice", NULL },
	{ "$egress, @egress as e { }", "count each packet twice", NULL },
	{ "probe p { window @5; ingress { } }", "a constant time", NULL },
	{ "probe p { window @0s; ingress { } }", "1ms at least", NULL },
	{ "probe p { $window 1s; @window 2s; ingress { } }", "`window` stands twice", NULL },
	{ "ingress { clock @fine; }", "no clock `fine`", "coarse" },
};

static const struct wrong wrong_types[] = {
	{ "where @frame.len; metric a = count();", "bytes is no condition", "present(frame.len)" },
	{ "where @net.src; metric a = count();", "an IP address is no condition", "present(net.src)" },
	{ "where @5; metric a = count();", "a plain number is no condition", NULL },
	{ "where tcp and @ip.ttl; metric a = count();", "is no condition", "present(ip.ttl)" },
	{ "where not @ip.ttl; metric a = count();", "is no condition", NULL },
	{ "metric a = sum(@tcp + 1);", "a condition is no number", "? 1 : 0" },
	{ "metric a = sum(1 + @(ip.ttl > 3));", "a condition is no number", NULL },
	{ "metric a = sum(@(ip.ttl > 3));", "takes a number, not a condition", "count() where" },
	{ "metric a = sum(@net.src);", "takes a number, not an IP address", NULL },
	{ "metric a = sum(@frame.time);", "takes a number, not an instant", NULL },
	{ "metric a = mean(@frame.time);", "takes a number, not an instant", NULL },
	{ "metric a = bit_or(@frame.time);", "takes a number, not an instant", NULL },
	{ "metric a = min(@eth.src);", "takes a number, not a MAC address", NULL },
	{ "metric a = @count(ip.ttl);", "takes no argument, not 1", "where" },
	{ "metric a = @sum();", "takes 1 argument, not 0", NULL },
	{ "metric a = @sum(ip.ttl, ip.id);", "takes 1 argument, not 2", NULL },
	{ "metric a = sum(@error = 3);", "no argument called `error`", NULL },
	{ "metric a = sum(@min(ip.ttl));", "takes 2 arguments, not 1", NULL },
	{ "metric a = sum(@1.5);", "whole numbers", NULL },
	{ "metric a = count() where ip.ttl > @50%;", "percentages", NULL },
	{ "metric a = count() where @\"tcp\" == 3;", "a string is no value", NULL },
	{ "metric a = count() where @tcp.flags.syn < 1;", "conditions have no order", NULL },
	{ "metric a = count() where tcp.flags.syn == @2;", "compares with a condition, 0 or 1", NULL },
	{ "metric a = count() where tcp.flags.syn == @ip.ttl;", "compares with a condition, 0 or 1", NULL },
	{ "metric a = count() where @ip.src == net.dst;", "do not compare", "`net.`" },
	{ "metric a = count() where @ip.src == 2001:db8::1;", "do not compare", NULL },
	{ "metric a = count() where @eth.src == ip.src;", "do not compare", NULL },
	{ "metric a = count() where @ip.src < ip.dst;", "no order", NULL },
	{ "metric a = count() where ip.src == @10.0.0.0/8;", "not equal to a prefix", "`in`" },
	{ "metric a = count() where ip.src in {@fc00::/7};", "do not compare", NULL },
	{ "metric a = sum(@ip.src + 1);", "is no number", "prefix()" },
	{ "metric a = sum(ip.ttl << @64);", "0 to 63 bits", NULL },
	{ "metric a = sum(ip.ttl >> @ip.id);", "0 to 63 bits", "& 63" },
	{ "metric a = count() where present(@tcp);", "always has a value", NULL },
	{ "metric a = count() where ip.ttl in @ip.id;", "`ip.id` is no set", "==" },
	{ "let s = {1, 2}; metric a = count() where ip.ttl > @s;", "`s` is a set", "in s" },
	{ "metric a = count() where @tcp in {1};", "lies in no set", NULL },
	{ "metric a = count() where ip.src in @10.0.0.0/8..10.0.0.9;", "not to a prefix", NULL },
	{ "table t by x = @prefix(net.src, 24) { metric a = count(); }", "two lengths", NULL },
	{ "table t by x = prefix(ip.src, 24, @48) { metric a = count(); }", "one length", NULL },
	{ "table t by x = prefix(ip.src, @33) { metric a = count(); }", "is 1 to 32, not 33", NULL },
	{ "table t by x = prefix(@ip.ttl, 3) { metric a = count(); }", "takes an address", NULL },
	{ "param half = 0.5; probe p { ingress { metric a = count() where ip.ttl > @half; } }", "decimal number",
	  NULL },
	{ "param x = @ip.ttl; probe p { ingress { } }", "a param is a constant", NULL },
	{ "let a0 = ip.ttl; let a1 = a0 * a0; let a2 = a1 * a1; let a3 = a2 * a2; let a4 = a3 * a3; let a5 = a4 * a4;"
	  "let a6 = a5 * a5; let a7 = a6 * a6; let a8 = a7 * a7; let a9 = a8 * a8; let b0 = a9 * a9; let b1 = b0 * b0;"
	  "let b2 = @b1 * b1; metric m = sum(b2);",
	  "too large with all its lets written out", NULL },
};

static const struct wrong wrong_dimensions[] = {
	{ "metric a = sum(@frame.len + 5s);", "bytes and a time do not go together", NULL },
	{ "metric a = count() where @frame.len > 5ms;", "bytes and a time do not go together", NULL },
	{ "let t = frame.time - frame.time; metric a = count() where t > @5;", "a plain number beside a time", "`5s`" },
	{ "metric a = count() where @frame.time > 5;", "do not go together", NULL },
	{ "metric a = max(@frame.time + frame.time);", "`+` does not go with", NULL },
	{ "metric a = max(@frame.time * 2);", "`*` does not go with", NULL },
	{ "metric a = count() where @frame.len > ip.id;", "bytes and a plain number", NULL },
	{ "metric b = sum(frame.len); derive a = b / window; table t by ip.src having b / window > @5 "
	  "{ metric b = sum(frame.len); }",
	  "a plain number beside bytes by time", "5B / 1s" },
	{ "metric a = sum(frame.len) unit @seconds;", "`seconds` is no unit of bytes", "`bytes`" },
	{ "metric a = count() unit @seconds;", "`seconds` is no unit of a plain number", NULL },
	{ "metric a = count() unit @bytes;", "`bytes` is no unit of a plain number", NULL },
	{ "metric a = max(frame.time) unit @seconds;", "an instant has no unit", NULL },
	{ "metric a = first(ip.src) unit @bytes;", "an IPv4 address has no unit", NULL },
	{ "metric a = sum(frame.len); derive b = a / window unit @bytes;", "no unit of bytes by time",
	  "bytes_per_second" },
	{ "metric a = variance(frame.len) unit @bytes;", "no unit of bytes^2", NULL },
	{ "metric a = sum(frame.len); derive b = log2(@a / window);", "log2() takes a plain number", NULL },
	{ "metric a = sum(frame.len); derive b = sqrt(@a);", "sqrt() of bytes has no unit", NULL },
};

static const struct wrong wrong_histograms[] = {
	{ "metric a = @histogram(frame.len);", "which buckets", "log2" },
	{ "metric a = histogram(frame.len, @lgo2);", "buckets are `log2`", "`log2`" },
	{ "metric a = histogram(frame.len, @linear(0, 10M, 10));", "1000002 buckets", NULL },
	{ "metric a = histogram(frame.len, @linear(-9223372036854775807, 9223372036854775807, 1));", "buckets", NULL },
	{ "metric a = histogram(frame.len, @linear(0, 10, 0));", "step must be over 0", NULL },
	{ "metric a = histogram(frame.len, @linear(10, 0, 1));", "end comes before its start", NULL },
	{ "metric a = histogram(frame.len, @linear(0, 10));", "takes 3 arguments", NULL },
	{ "metric a = histogram(frame.len, [1, 5, @5]);", "edges ascend", NULL },
	{ "metric a = histogram(frame.len, [1, @ip.ttl]);", "constants", NULL },
	{ "metric a = histogram(frame.len, [@1ms]);", "do not go together", NULL },
	{ "metric a = histogram(frame.time - frame.time, [@1]);", "which unit", "`1s`" },
	{ "metric a = histogram(frame.len, loglinear(@7));", "is 0 to 6, not 7", NULL },
	{ "metric a = histogram(frame.len, @loglinear(6));", "3712 buckets", NULL },
	{ "metric a = histogram(frame.len, log2); derive b = @a + 1;", "a histogram is no number", ".count" },
	{ "metric a = histogram(frame.len, log2); derive b = @a;", "a histogram is no number", ".count" },
	{ "metric a = count(); derive b = @a.count;", "`a` is no histogram", NULL },
};

static const struct wrong wrong_tables[] = {
	{ "table @t by ip.src { }", "has no metric", "metric packets = count();" },
	{ "table t by @ip.ttl * 2 { metric a = count(); }", "no name", "NAME = ip.ttl * 2" },
	{ "table t by @tcp { metric a = count(); }", "no name", NULL },
	{ "table t by x = @5 { metric a = count(); }", "a key is no constant", NULL },
	{ "table t by @x = flow { metric a = count(); }", "takes no name", NULL },
	{ "table t by @ipv6.src, ipv6.dst, net.src, net.dst { metric a = count(); }", "at most 64 bytes, not 65",
	  NULL },
	{ "table t by ip.src size @0 { metric a = count(); }", "is 1 to 268435456, not 0", NULL },
	{ "table t by ip.src size @1099511627776 { metric a = count(); }", "not 1099511627776", NULL },
	{ "table t by ip.src size @1KiB { metric a = count(); }", "plain number, not bytes", NULL },
	{ "table t by ip.src size @ip.ttl { metric a = count(); }", "must be a constant", NULL },
	{ "table t by ip.src expire idle @15 { metric a = count(); }", "`idle` is a constant time", NULL },
	{ "table t by ip.src expire active @1KiB { metric a = count(); }", "`active` is a constant time", NULL },
	{ "table t by ip.src expire idle @0s { metric a = count(); }", "`idle` is 1ns at least", NULL },
	{ "table t by ip.src expire when @ip.ttl { metric a = count(); }", "is no condition", NULL },
	{ "table t by ip.src expire when @frame.segments > 1 { metric a = count(); }", "cannot read `frame.segments`",
	  NULL },
	{ "table t by ip.src expire idle 1s linger @1s { metric a = count(); }", "there is none", NULL },
	{ "private table t by ip.src expire active @1s { state a = count(); }", "goes on behind `active`", NULL },
	{ "table t by ip.src overflow @evict expire idle 1s { metric a : u32 = 0 next a + 1; }",
	  "rows of `t` cannot be evicted", NULL },
	{ "table t by ip.src overflow @evict expire idle 1s { metric a = count(); } metric b = count() where t;",
	  "rows of `t` cannot be evicted", NULL },
	{ "table t by ip.src expire when tcp linger @-1s { metric a = count(); }", "`linger` is not negative", NULL },
	{ "table t by ip.src expire idle 1s { metric a = count(); derive b = a / @window; }",
	  "cover a time of their own", NULL },
	{ "table t by ip.src overflow @othr { metric a = count(); }", "`other`, `evict` or `drop`", "`other`" },
	{ "table t by ip.src having @a { metric a = count(); }", "is no condition", NULL },
	{ "table t by ip.src top @0 by a { metric a = count(); }", "not 0", NULL },
	{ "table t by ip.src top 5 by @b { metric a = count(); }", "no metric or derive `b`", NULL },
	{ "table t by ip.src top 5 by @ip.src { metric a = count(); }", "is a key", NULL },
	{ "table t by ip.src top 5 by @a { metric a = first(ip.dst); }", "is an IPv4 address", NULL },
};

static const struct wrong wrong_events[] = {
	{ "events e { @tcp }", "this key has no name", "NAME = tcp" },
	{ "events e { ip.src, a = @5 }", "a constant is the same in every event", NULL },
	{ "events e size @0 { ip.src }", "a table's size", NULL },
	{ "events e @reset { ip.src }", "`reset` cannot stand behind", NULL },
	{ "events $e { ip.src } metric @e = count();", "`e` is defined twice", NULL },
	{ "events e { ip.src } derive a = @e;", "no metric, derive, key or param `e`", NULL },
};

static const struct wrong wrong_timing[] = {
	{ "@metric a = min(ip.ttl) reset;", "`reset` alone cannot be exact for min()", "`snapshot reset`" },
	{ "reset; metric a = sum(ip.ttl); @metric b = first(ip.ttl);", "cannot be exact for first()", NULL },
	{ "probe p { reset; ingress { @metric a = bit_or(ip.ttl); } }", "cannot be exact for bit_or()", NULL },
	{ "table t by ip.src { metric a = count() @snapshot; }", "`snapshot` does not stand behind",
	  "behind the table" },
	{ "table t by ip.src { metric a = count() @reset; }", "`reset` does not stand behind", "behind the table" },
};

static const struct wrong wrong_memory[] = {
	/* previous packets */
	{ "metric a = max(@delta(delta(ip.ttl)));", "what it had before is not known", NULL },
	{ "let d = delta(ip.ttl); metric a = max(@prev(d));", "what it had before is not known", NULL },
	{ "metric a = max(delta(@5));", "the same in every packet", NULL },
	{ "metric a = max(delta(@ip.src));", "a number or an instant, not an IPv4 address", "x != prev(x)" },
	{ "metric a = max(delta(@tcp.flags.syn));", "a number or an instant", "x != prev(x)" },
	{ "metric a = count() where @prev(ip.ttl);", "a plain number is no condition", NULL },
	{ "metric a = count() where @ip.src > prev(ip.src);", "addresses have no order", NULL },
	{ "metric a = count(); derive b = @prev(a);", "is for packets", NULL },
	{ "table t by net.src size @prev(ip.ttl) { metric a = count(); }", "there is no previous packet here", NULL },
	{ "table t by @prev(net.src) { metric a = count(); }", "has no name", "NAME" },
	{ "table t by k = @prev(net.src) { metric a = count(); }", "can only be compared", NULL },
	{ "table t by k = prefix(@prev(ip.src), 8) { metric a = count(); }", "can only be compared", NULL },
	{ "metric a = count() where (tcp ? @prev(ip.src) : ip.src) == 10.0.0.1;", "can only be compared", NULL },
	/* states and folds */
	{ "metric a : @u12 = 0 next a + 1;", "a fold is u8, u16", NULL },
	{ "metric a : @u46 = 0 next a + 1;", "a fold is u8, u16", "`u16`" },
	{ "metric a : u32 = @ip.ttl next a + 1;", "outside of tables a fold begins with a constant", "`next`" },
	{ "metric a : u32 = 0 next @frame.time;", "an instant is no number", NULL },
	{ "metric a : u32 = 0 next @tcp.flags.syn;", "a condition is no number", NULL },
	{ "metric a : u32 = 0s next @frame.len;", "do not go together", NULL },
	{ "metric a : u64 = @1 next delta(frame.time);", "which unit", "1s" },
	{ "metric a : u8 = @a next 1;", "`a` needs itself", NULL },
	{ "metric a : u8 = b next 1; metric b : u8 = @a next 1;", "`a` needs itself: a, b, a", NULL },
	{ "state a = max(@a + 1); metric m = sum(a);", "`a` needs itself", NULL },
	{ "table t by net.src { state a : u8 = @b next 1; metric b : u8 = 0 next 1; metric m = sum(a); }",
	  "only known when it has begun", "states" },
	{ "table t by net.src { metric a : u8 = @u.s next 1; } private table u by net.dst { state s = count(); }",
	  "only known when it has begun", NULL },
	{ "state a = @mean(ip.ttl); metric m = count();", "nothing that packets can read", NULL },
	{ "state a = @histogram(ip.ttl, log2); metric m = count();", "nothing that packets can read", NULL },
	{ "state a = count(); derive b = @a * 2;", "is a `state`, which is not exported", "metric" },
	{ "table t by net.src top 3 by @a { state a = count(); metric b = count(); }", "no metric or derive `a`",
	  NULL },
	{ "table t by net.src { state s = sum(frame.len) unit @byts; metric b = sum(s); }", "`byts`", NULL },
	{ "state $a = count(); table t by net.src { state @a = count(); metric b = count(); }",
	  "this state hides another", NULL },
	{ "let $a = 1; metric @a : u8 = 0 next a + 1;", "`a` is defined twice", NULL },
	{ "let $a = 1; table t by net.src { metric @a : u8 = 0 next 1; }", "this fold hides another", NULL },
	{ "@metric a : u8 = 0 next a + 1 reset;", "`reset` alone cannot be exact for a fold", "snapshot reset" },
	{ "table t by net.src { state asked = count(); metric m = count() where @askd > 1; }", "`askd`", "`asked`" },
	/* private tables */
	{ "private table t by net.src { metric @a = count(); } metric b = count() where t;", "nothing reads `a`",
	  "state" },
	{ "private table t by net.src { metric @a : u8 = 0 next a + 1; } metric b = sum(t.a);", "nothing reads `a`",
	  "state" },
	{ "private table t by net.src { state a = count(); derive @b = 1; } metric c = sum(t.a);", "nothing reads `b`",
	  NULL },
	{ "private table t by net.src having @1 == 1 { state a = count(); } metric c = sum(t.a);", "no rows to pick",
	  NULL },
	{ "private table t by net.src { state a = count(); } derive c = @t.a;", "read inside it", NULL },
	/* asking tables */
	{ "table t by net.src { metric a = count(); } metric b = max(@t.a);", "each CPU counts it for itself",
	  "`state`" },
	{ "table t by net.src { state abc = count(); metric a = count(); } metric b = max(@t.abd);",
	  "no state or fold `abd`", "`t.abc`" },
	{ "table t by net.src { state a = count(); metric b = count(); } metric c = max(@t.net.src);",
	  "is no state or fold", NULL },
	{ "table t by net.src { metric a = count(); derive d = a; } metric b = max(@t.d);", "is no state or fold",
	  NULL },
	{ "probe p { ingress { private table t by net.src { state a = count(); } metric m = sum(t.a); } "
	  "egress { metric m = sum(@t.a); } }",
	  "no field `t.a`", NULL },
	{ "table t by k = @t.a { state a = count(); metric m = count(); }", "the row that it selects", NULL },
	{ "table t by k = @a { state a = count(); metric m = count(); }", "the row that it selects", NULL },
	{ "private table a by k = @b.x { state x = count(); } private table b by k = a.x { state x = count(); } "
	  "metric m = sum(a.x);",
	  "ask in the end for the row", NULL },
	{ "table t by net.src { metric a = count(); } metric b = count() where present(@t);", "always has a value",
	  NULL },
};

static const struct wrong wrong_later[] = {
	{ "metric a = @quantile(ip.ttl, [0.5]); derive b = a.p50;", "quantile() comes with a later version", NULL },
	{ "metric a = @distinct(ip.src); derive b = a * 2;", "distinct() comes with a later version", NULL },
	{ "metric a = @topk(10, ip.src);", "topk() comes with a later version", NULL },
	{ "metric a = @burst(frame.len, 10ms);", "burst() comes with a later version", NULL },
	{ "metric a = @first_n(3, ip.ttl);", "first_n() comes with a later version", NULL },
	{ "metric a = count(@half_life = 1s);", "`half_life` comes with a later version", NULL },
	{ "table t by @biflow(net.src, net.dst, l4.srcport, l4.dstport) having net.src == 10.0.0.1 "
	  "{ metric a = count() where forward; }",
	  "`biflow` keys come with a later version", NULL },
	{ "metric a = count() where @forward;", "`forward` comes with a later version", NULL },
	{ "table t by ip.src { metric a = count(); } derive b = @sum(t.a);", "folding the rows of a table comes",
	  NULL },
	{ "table t by ip.src { metric a = count(); } derive b = @count(t);", "folding the rows of a table comes",
	  NULL },
	{ "table t by ip.src { metric a = count(); } derive b = @entropy(t.a);", "folding the rows of a table comes",
	  NULL },
	{ "ingress tc { source @\"x.bpf.c\" { metric m = map M; } derive a = m; }", "was not compiled", NULL },
	{ "@use lengths; derive a = len_max * 2;", "`use` comes with a later version", NULL },
	{ "table t by ip.src { @use lengths; }", "`use` comes with a later version", NULL },
	{ "@import \"tcp.amon\"; probe p { ingress { } }", "`import` comes with a later version", NULL },
	{ "@feature f { metric a = count(); }", "`feature` comes with a later version", NULL },
	{ "probe p { window 1s; @level l { ingress { metric a = count(); } } derive b = l.a; }", "`level` comes",
	  NULL },
	{ "@sample 1 in 10;", "`sample` comes with a later version", NULL },
	{ "probe p { @limit memory 64MiB; ingress { } }", "`limit` comes with a later version", NULL },
	{ "table t by ip.src overflow @evict { metric a = count(); }", "`overflow evict` without `expire` comes",
	  NULL },
	{ "metric a = count() where @dns.id == 3;", "fields of `dns` come with a later version", NULL },
	{ "metric a = count() where @dns;", "`dns` comes with a later version", NULL },
	{ "metric a = first(@inner.ip.src);", "fields of `inner` come with a later version", NULL },
	{ "metric a = count() where @vxlan.vni == 3;", "fields of `vxlan` come", NULL },
	{ "metric a = count() where @gtp;", "`gtp` comes with a later version", NULL },
};

/* Takes the marks out and says where they stood, SIZE_MAX where they did not. */
static const char *without_marks(struct fixture *fixture, const char *text, size_t *error, size_t *note)
{
	char *clean = amon_arena_alloc(fixture->arena, strlen(text) + 1);
	size_t length = 0;

	*error = *note = SIZE_MAX;
	for (const char *c = text; *c; c++) {
		if (*c == '@')
			*error = length;
		else if (*c == '$')
			*note = length;
		else
			clean[length++] = *c;
	}
	return clean;
}

static const struct amon_diagnostic *find(const struct fixture *fixture, enum amon_severity severity)
{
	for (const struct amon_diagnostic *d = fixture->diagnostics.first; d; d = d->next)
		if (d->severity == severity)
			return d;
	return NULL;
}

static bool matches(const char *text, const char *part)
{
	return !part || (text && strstr(text, part));
}

static void complain(const struct fixture *fixture, const char *text)
{
	amon_diagnostics_print(&fixture->diagnostics, stderr, false);
	fail_msg("not as expected: %s", text);
}

/* One error, at its place, and none that follows from it. */
static void check_wrong(struct fixture *fixture, const struct wrong *wrong)
{
	size_t error_at, note_at;
	const struct amon_probe *probe = check(fixture, without_marks(fixture, wrong->text, &error_at, &note_at));
	const struct amon_diagnostic *error = find(fixture, AMON_ERROR), *note = find(fixture, AMON_NOTE);

	if (probe || !error || fixture->diagnostics.errors != 1 || error->span.start != error_at ||
	    !matches(error->message, wrong->message) || !matches(error->suggestion, wrong->help))
		complain(fixture, wrong->text);
	if ((note ? note->span.start : SIZE_MAX) != note_at)
		complain(fixture, wrong->text);
}

#define WRONG(table)                                                                                                   \
	static void test_##table(void **state)                                                                         \
	{                                                                                                              \
		for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)                                            \
			check_wrong(*state, &table[i]);                                                                \
	}

WRONG(wrong_names)
WRONG(wrong_definitions)
WRONG(wrong_sections)
WRONG(wrong_types)
WRONG(wrong_dimensions)
WRONG(wrong_histograms)
WRONG(wrong_tables)
WRONG(wrong_events)
WRONG(wrong_timing)
WRONG(wrong_memory)
WRONG(wrong_later)

/* --- memory */

static void test_memory_is_shared(void **state)
{
	static const struct {
		const char *text;
		uint32_t items; /* of the section */
	} cases[] = {
		{ "metric a = max(delta(ip.ttl)); metric b = min(delta(ip.ttl));", 1 },
		{ "metric a = max(delta(ip.ttl)); metric b = count() where prev(ip.ttl) > 3;", 1 },
		{ "metric a = max(delta(ip.ttl)); metric b = min(delta(ip.ttl)) where udp;", 2 },
		{ "metric a = max(delta(ip.ttl)) where udp; metric b = min(delta(ip.ttl)) where udp;", 1 },
		{ "metric a = max(delta(ip.ttl)) where udp; metric b = min(delta(ip.ttl)) where tcp;", 2 },
		{ "metric a = max(delta(ip.ttl)); metric b = max(delta(ip.ttl + 1));", 2 },
		{ "let d = delta(ip.ttl); metric a = max(d) where tcp; metric b = min(d) where udp;", 1 },
		{ "let d = delta(ip.ttl); where d > 3; metric a = max(d);", 1 },
		{ "let d = delta(ip.ttl); table t by net.src { metric a = max(d); }", 1 },
		{ "table t by net.src { metric a = max(delta(ip.ttl)); }", 0 },
		{ "probe p { let d = delta(ip.ttl); where d > 3; ingress { metric a = max(d); } }", 1 },
		{ "probe p { let d = delta(ip.ttl); ingress { metric a = max(d); } egress { metric a = min(d); } }",
		  1 },
		{ "state a = max(delta(ip.ttl)); metric b = sum(a);", 2 },
		{ "metric a : u8 = 0 next a + 1;", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct amon_probe *probe = must_check(*state, cases[i].text);

		if (probe->sections->memory.items.count != cases[i].items)
			fail_msg("%u items are remembered: %s", probe->sections->memory.items.count, cases[i].text);
	}
}

/* --- what can never hold: a warning, at its place */

static const struct wrong warnings[] = {
	{ "where $udp; metric a = count() where @tcp.flags.syn;", "no packet has `tcp.flags.syn` with `udp`", NULL },
	{ "where $udp; metric a = sum(@tcp.len);", "never has a value: no packet has `tcp.len` with `udp`", NULL },
	{ "where $udp; let syn = tcp.flags.syn; metric a = count() where @syn;", "`tcp.flags.syn`", NULL },
	{ "where $udp; metric a = count() where @not udp;", "`udp` is both asked for and excluded", NULL },
	{ "where udp; metric a = count() where @tcp or icmp;", "neither side can", NULL },
	{ "where $udp; table t by @tcp.dstport { metric a = count(); }", "never has a value", NULL },
	{ "table t by $ip.src, @ipv6.src { metric a = count(); }", "never has a value", NULL },
	{ "probe p { where $ip; egress { where @ipv6; } ingress { } }", "no packet has `ipv6` with `ip`", NULL },
	{ "metric a = count() where @ip.ttl > 300;", "`ip.ttl` is 0 to 255", NULL },
	{ "metric a = count() where @ip.ttl < 0;", "`ip.ttl` is 0 to 255", NULL },
	{ "metric a = count() where @300 == ip.ttl;", "`ip.ttl` is 0 to 255", NULL },
	{ "metric a = count() where @ip.ttl in {300..400, 500};", "`ip.ttl` is 0 to 255", NULL },
	{ "metric a = count() where @(ip.ttl & 15) == 16;", "the value is 0 to 15", NULL },
	{ "metric a = count() where $ip.ttl > 5 and @ip.ttl < 5;", "two things at once", NULL },
	{ "where $net.proto == 6; metric a = count() where @net.proto == 17;", "two things at once", NULL },
	{ "metric a = count() where $tcp.flags.syn and @not tcp.flags.syn;", "two things at once", NULL },
	{ "metric a = count() where $tcp.flags.syn and @tcp.flags.syn == 0;", "two things at once", NULL },
	{ "metric a = count() where @1 == 2;", "this never holds", NULL },
	{ "metric a = count() where ip.ttl in {1, @9..3};", "nothing lies in this range", NULL },
	{ "metric a = count() where net.src in {10.0.0.1, @10.0.0.9..10.0.0.3};", "nothing lies in this range", NULL },
	{ "metric a = sum(frame.len / @0);", "never has a value", NULL },
};

static void test_warnings(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(warnings) / sizeof(*warnings); i++) {
		size_t warning_at, note_at;
		const char *text = without_marks(fixture, warnings[i].text, &warning_at, &note_at);
		must_check(fixture, text);
		const struct amon_diagnostic *warning = find(fixture, AMON_WARNING), *note = find(fixture, AMON_NOTE);
		if (fixture->diagnostics.warnings != 1 || warning->span.start != warning_at ||
		    !matches(warning->message, warnings[i].message) || (note ? note->span.start : SIZE_MAX) != note_at)
			complain(fixture, warnings[i].text);
	}
}

/* What looks strange and can hold. */
static void test_no_warnings(void **state)
{
	static const char *const texts[] = {
		"where udp; metric a = count() where udp or tcp;",
		"where tcp or udp; metric a = count() where udp;",
		"where tcp or udp; metric a = sum(l4.len) where tcp.flags.syn;",
		"metric a = count() where not (ip.ttl > 300);",
		"metric a = count() where ip.ttl == 1 or ip.ttl == 2;",
		"where net.proto in {6, 17}; metric a = count() where net.proto == 17;",
		"where not tcp; table t by net.src, l4.dstport { metric a = count(); }",
		"where arp; table t by eth.src, l4.srcport { metric a = count(); }",
		"metric a = count() where vlan.id != 5000;",
		"metric a = count() where tcp ? udp : ip;",
		"metric a = count() where ip.ttl - 5 < 0;",
		"probe p { let a = udp; let b = tcp; ingress { where a; } egress { where b; } }",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		must_check(*state, texts[i]);
		if (((struct fixture *)*state)->diagnostics.warnings)
			complain(*state, texts[i]);
	}
}

/* --- all errors, in one go */

static void test_all_errors(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		uint32_t line, column;
	} expected[] = { { 2, 20 }, { 3, 30 }, { 3, 39 }, { 5, 20 } };
	size_t count = 0;

	assert_null(check(fixture, "ingress {\n"
	                           "    metric a = sum(frame.lenn);\n"
	                           "    metric b = count() where tcp2 and udp2;\n"
	                           "    derive c = a / b;\n"
	                           "    table t by x = ip.srcc { metric d = count(); }\n"
	                           "}\n"));
	for (const struct amon_diagnostic *d = fixture->diagnostics.first; d; d = d->next, count++) {
		uint32_t line, column;
		amon_source_position(d->span.source, d->span.start, &line, &column);
		assert_true(count < sizeof(expected) / sizeof(*expected));
		assert_int_equal(line, expected[count].line);
		assert_int_equal(column, expected[count].column);
	}
	assert_int_equal(count, 4);
}

/* What a broken statement would have defined is not complained about. */
static void test_broken_text(void **state)
{
	struct fixture *fixture = *state;

	assert_null(check(fixture, "metric a = = count(); derive b = a * 2; let x = ; metric c = count() where x;"));
	assert_int_equal(fixture->diagnostics.errors, 2);
}

/* --- what is right */

static const struct amon_column *column_in(const struct amon_columns *columns, const char *name)
{
	for (const struct amon_column *column = columns->first; column; column = column->next)
		if (!strcmp(column->name, name))
			return column;
	return NULL;
}

static const struct amon_column *column_of(const struct amon_probe *probe, const char *name)
{
	const struct amon_section *section = probe->sections;
	const struct amon_table *table = section->tables;
	const struct amon_columns *places[] = { &section->metrics,
		                                &section->derives,
		                                table ? &table->keys : NULL,
		                                table ? &table->metrics : NULL,
		                                table ? &table->derives : NULL,
		                                &probe->derives };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		const struct amon_column *column = places[i] ? column_in(places[i], name) : NULL;
		if (column)
			return column;
	}
	fail_msg("no column %s", name);
	return NULL;
}

/* The argument of the metric `x`, which stands last in the text. */
static const struct amon_value *argument(struct fixture *fixture, const char *expression)
{
	const char *text = amon_arena_printf(fixture->arena, "metric x = sum(%s);", expression);
	return column_of(must_check(fixture, text), "x")->argument;
}

static const struct amon_value *derived(struct fixture *fixture, const char *expression)
{
	const char *text =
	        amon_arena_printf(fixture->arena,
	                          "metric n = count(); metric b = sum(frame.len); metric t = max(frame.time);"
	                          "metric u = min(frame.time); metric h = histogram(frame.len, log2); derive x = %s;",
	                          expression);
	return column_of(must_check(fixture, text), "x")->value;
}

static const struct amon_value *condition(struct fixture *fixture, const char *expression)
{
	const char *text = amon_arena_printf(fixture->arena, "metric x = count() where %s;", expression);
	return column_of(must_check(fixture, text), "x")->where;
}

static void test_folding(void **state)
{
	static const struct {
		const char *expression;
		int64_t value;
	} cases[] = {
		{ "1 + 2 * 3", 7 },
		{ "(1 + 2) * 3", 9 },
		{ "7 / 2", 3 },
		{ "-7 / 2", -3 },
		{ "-7 % 3", -1 },
		{ "7 % -3", 1 },
		{ "9223372036854775807 + 1", INT64_MIN },
		{ "-9223372036854775807 - 2", INT64_MAX },
		{ "(-9223372036854775807 - 1) / -1", INT64_MIN },
		{ "(-9223372036854775807 - 1) % -1", 0 },
		{ "-(-9223372036854775807 - 1)", INT64_MIN },
		{ "~0", -1 },
		{ "-8 >> 1", -4 },
		{ "1 << 63", INT64_MIN },
		{ "12 & 10 | 1 ^ 3", 10 },
		{ "u8(257)", 1 },
		{ "s8(255)", -1 },
		{ "s16(32768)", -32768 },
		{ "u32(-1)", 4294967295 },
		{ "s32(4294967295)", -1 },
		{ "abs(-5)", 5 },
		{ "min(3, -4)", -4 },
		{ "max(3, -4)", 3 },
		{ "3 > 2 ? 10 : 20", 10 },
		{ "5 in {1, 3..7} ? 1 : 0", 1 },
		{ "10.1.2.3 in 10.0.0.0/8 ? 1 : 0", 1 },
		{ "11.1.2.3 in 10.0.0.0/8 ? 1 : 0", 0 },
		{ "10.0.0.5 in 10.0.0.3..10.0.0.9 ? 1 : 0", 1 },
		{ "10.0.0.1 == 10.0.0.1 ? 1 : 0", 1 },
		{ "prefix(10.1.2.3, 8) == 10.0.0.0 ? 1 : 0", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct amon_value *value = argument(*state, cases[i].expression);
		if (value->kind != AMON_VALUE_INTEGER || value->integer != cases[i].value)
			fail_msg("%s is %lld", cases[i].expression, (long long)value->integer);
	}
}

/* x/0 has no value, so that it is no constant. */
static void test_division_by_zero(void **state)
{
	const struct amon_value *value = argument(*state, "5 / 0");

	assert_int_equal(value->kind, AMON_VALUE_BINARY);
	assert_int_equal(value->right->integer, 0);
}

static void test_folding_at_export(void **state)
{
	const struct amon_value *value = derived(*state, "7 / 2");

	assert_int_equal(value->kind, AMON_VALUE_REAL);
	assert_true(value->real == 3.5);
	value = derived(*state, "9223372036854775807 + 1");
	assert_int_equal(value->kind, AMON_VALUE_REAL);
	assert_true(value->real == 9223372036854775808.0);
	value = derived(*state, "2 * 3 - 10");
	assert_int_equal(value->kind, AMON_VALUE_INTEGER);
	assert_int_equal(value->integer, -4);
	assert_true(derived(*state, "5%")->real == 0.05);
}

static void test_logic(void **state)
{
	assert_null(condition(*state, "1 == 1"));
	assert_null(condition(*state, "tcp or 1 == 1"));
	assert_int_equal(condition(*state, "tcp and 1 == 1")->kind, AMON_VALUE_PROTOCOL);
	assert_int_equal(condition(*state, "tcp and 1 == 2")->kind, AMON_VALUE_INTEGER);
	assert_int_equal(condition(*state, "tcp.flags.syn")->kind, AMON_VALUE_FIELD);
	assert_int_equal(condition(*state, "present(ip.ttl)")->kind, AMON_VALUE_PRESENT);
}

static void test_bits(void **state)
{
	static const struct {
		const char *expression;
		uint8_t bits;
	} cases[] = {
		{ "ip.ttl", 8 },           { "ip.ttl + 1", 9 },      { "ip.ttl * ip.id", 24 },
		{ "ip.ttl - 1", 0 },       { "ip.ttl & 15", 4 },     { "-ip.ttl", 0 },
		{ "ip.ttl << 4", 11 + 1 }, { "ip.ttl >> 1", 8 },     { "ip.id % ip.ttl", 8 },
		{ "u16(ip.ttl)", 16 },     { "s16(ip.ttl)", 0 },     { "tcp.payload[0:4]", 32 },
		{ "tcp.payload[0:8]", 0 }, { "min(ip.ttl, 64)", 8 }, { "tcp ? ip.ttl : 300", 9 },
		{ "(ip.ttl - 1) & 7", 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct amon_value *value = argument(*state, cases[i].expression);
		if (value->type.bits != cases[i].bits)
			fail_msg("%s has %u bits", cases[i].expression, value->type.bits);
	}
}

static void assert_dimension(struct amon_dimension dimension, int information, int time)
{
	assert_int_equal(dimension.information, information);
	assert_int_equal(dimension.time, time);
}

static void test_dimensions(void **state)
{
	assert_dimension(argument(*state, "frame.len + 14")->type.dimension, 1, 0);
	assert_dimension(argument(*state, "frame.len * 8")->type.dimension, 1, 0);
	assert_dimension(argument(*state, "frame.len * frame.len")->type.dimension, 2, 0);
	assert_dimension(argument(*state, "frame.len / ip.len")->type.dimension, 0, 0);
	assert_dimension(argument(*state, "(frame.time - frame.time) + 5s")->type.dimension, 0, 1);
	assert_dimension(argument(*state, "tcp.payload[0:2] + tcp.len")->type.dimension, 1, 0);
	assert_dimension(derived(*state, "8 * b / window")->type.dimension, 1, -1);
	assert_dimension(derived(*state, "t - u")->type.dimension, 0, 1);
	assert_dimension(derived(*state, "b / n")->type.dimension, 1, 0);
	assert_dimension(derived(*state, "sqrt(b * b)")->type.dimension, 1, 0);
	assert_dimension(derived(*state, "h.sum")->type.dimension, 1, 0);
	assert_dimension(derived(*state, "h.count")->type.dimension, 0, 0);
	assert_non_null(condition(*state, "frame.time - frame.time > 0"));
}

static void test_bases_at_export(void **state)
{
	assert_int_equal(derived(*state, "b + n * 0 * 1B")->type.base, AMON_BASE_INT);
	assert_int_equal(derived(*state, "b / n")->type.base, AMON_BASE_REAL);
	assert_int_equal(derived(*state, "abs(n)")->type.base, AMON_BASE_REAL);
	assert_int_equal(derived(*state, "t + 1s")->type.base, AMON_BASE_TIME);
	assert_int_equal(derived(*state, "max(t, u)")->type.base, AMON_BASE_TIME);
	assert_int_equal(derived(*state, "n > 5")->type.base, AMON_BASE_BOOL);
	assert_int_equal(derived(*state, "h.count")->member, AMON_MEMBER_COUNT);
	assert_int_equal(derived(*state, "h.sum")->member, AMON_MEMBER_SUM);
	assert_int_equal(derived(*state, "window")->kind, AMON_VALUE_WINDOW);
}

static void test_result_types(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "metric c = count(); metric s = sum(frame.len);"
	                           "metric lo = min(ip.ttl); metric m = mean(frame.len);"
	                           "metric v = variance(frame.len); metric d = stddev(frame.len);"
	                           "metric f = first(net.src); metric t = last(frame.time);"
	                           "metric h = histogram(frame.len, log2); metric b = first(tcp.flags.syn);"
	                           "metric p = last(prefix(ip.src, 24));");

	assert_dimension(column_of(probe, "c")->type.dimension, 0, 0);
	assert_null(column_of(probe, "c")->argument);
	assert_dimension(column_of(probe, "s")->type.dimension, 1, 0);
	assert_int_equal(column_of(probe, "lo")->type.bits, 8);
	assert_int_equal(column_of(probe, "m")->type.base, AMON_BASE_REAL);
	assert_dimension(column_of(probe, "m")->type.dimension, 1, 0);
	assert_dimension(column_of(probe, "v")->type.dimension, 2, 0);
	assert_dimension(column_of(probe, "d")->type.dimension, 1, 0);
	assert_int_equal(column_of(probe, "f")->type.base, AMON_BASE_NET);
	assert_int_equal(column_of(probe, "t")->type.base, AMON_BASE_TIME);
	assert_int_equal(column_of(probe, "h")->type.base, AMON_BASE_ROWS);
	assert_int_equal(column_of(probe, "b")->type.base, AMON_BASE_BOOL);
	assert_int_equal(column_of(probe, "p")->type.prefix, 24);
}

static void test_units(void **state)
{
	static const struct {
		const char *value, *unit;
		uint64_t divisor, multiplier;
	} cases[] = {
		{ "t - u", "seconds", 1000000000, 1 },
		{ "t - u", "milliseconds", 1000000, 1 },
		{ "t - u", "microseconds", 1000, 1 },
		{ "t - u", "nanoseconds", 1, 1 },
		{ "t - u", "minutes", 60000000000, 1 },
		{ "t - u", "hours", 3600000000000, 1 },
		{ "t - u", "days", 86400000000000, 1 },
		{ "b", "bytes", 1, 1 },
		{ "8 * b", "bits", 1, 1 },
		{ "8 * b / window", "bits_per_second", 1, 1000000000 },
		{ "b / window", "bytes_per_second", 1, 1000000000 },
		{ "n / window", "packets_per_second", 1, 1000000000 },
		{ "n / window", "retransmissions_per_second", 1, 1000000000 },
		{ "n", "packets", 1, 1 },
		{ "n", "retransmissions", 1, 1 },
		{ "n / n", "ratio", 1, 1 },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *text = amon_arena_printf(fixture->arena, "%s unit %s", cases[i].value, cases[i].unit);
		const char *spec =
		        amon_arena_printf(fixture->arena,
		                          "metric n = count(); metric b = sum(frame.len);"
		                          "metric t = max(frame.time); metric u = min(frame.time); derive x = %s;",
		                          text);
		const struct amon_column *column = column_of(must_check(fixture, spec), "x");
		assert_string_equal(column->unit, cases[i].unit);
		assert_int_equal(column->divisor, cases[i].divisor);
		assert_int_equal(column->multiplier, cases[i].multiplier);
	}
}

/* Numbers of RFC 7012's registry; and no field has an element that it does not know. */
static void test_ipfix(void **state)
{
	(void)state;
	assert_int_equal(amon_ipfix_find("sourceIPv4Address")->id, 8);
	assert_int_equal(amon_ipfix_find("flowStartMilliseconds")->id, 152);
	assert_int_equal(amon_ipfix_find("tcpWindowSize")->id, 186);
	assert_int_equal(amon_ipfix_find("mplsTopLabelExp")->id, 203);
	assert_int_equal(amon_ipfix_find("dot1qCustomerVlanId")->id, 245);
	assert_null(amon_ipfix_find("OctetDeltaCount"));
	for (const struct amon_field *field = amon_fields; field->name; field++)
		if (field->ipfix)
			assert_non_null(amon_ipfix_find(field->ipfix));
}

static void test_attributes(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "metric a = sum(ip.len) unit bytes as \"IN_BYTES\" ipfix octetDeltaCount \"help\";"
	                           "metric b = count() ipfix 9/87; derive c = a / b;");
	const struct amon_column *a = column_of(probe, "a"), *b = column_of(probe, "b");

	assert_string_equal(a->exported, "IN_BYTES");
	assert_string_equal(a->ipfix, "octetDeltaCount");
	assert_int_equal(a->ipfix_id, 1);
	assert_string_equal(a->help, "help");
	assert_int_equal(b->ipfix_pen, 9);
	assert_int_equal(b->ipfix_id, 87);
	assert_string_equal(b->exported, "b");
	assert_null(b->unit);
	assert_int_equal(column_of(probe, "c")->order, 2);
	assert_ptr_equal(column_of(probe, "c")->value->left->column, a);
}

static void test_buckets(void **state)
{
	const struct amon_probe *probe = must_check(*state, "metric a = histogram(frame.len, linear(0, 1600, 100));"
	                                                    "metric b = histogram(frame.len, [64, 128KiB]);"
	                                                    "metric c = histogram(ip.ttl, loglinear(3));"
	                                                    "metric d = histogram(ip.ttl, log2);"
	                                                    "metric e = histogram(frame.len, linear(0, 1550, 100));");
	const struct amon_buckets *a = &column_of(probe, "a")->buckets, *b = &column_of(probe, "b")->buckets;

	assert_int_equal(a->kind, AMON_BUCKETS_LINEAR);
	assert_int_equal(a->low, 0);
	assert_int_equal(a->high, 1600);
	assert_int_equal(a->step, 100);
	assert_int_equal(a->edge_count, 17);
	assert_int_equal(b->kind, AMON_BUCKETS_EDGES);
	assert_int_equal(b->edge_count, 2);
	assert_int_equal(b->edges[1], 131072);
	assert_int_equal(column_of(probe, "c")->buckets.bits, 3);
	assert_int_equal(column_of(probe, "d")->buckets.kind, AMON_BUCKETS_LOG2);
	assert_int_equal(column_of(probe, "e")->buckets.edge_count, 16);
}

static void test_once(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "let s = frame.segments; metric a = max(s * 2); metric b = count() where s > 1;"
	                           "metric c = count();");

	assert_true(column_of(probe, "a")->once);
	assert_true(column_of(probe, "b")->once);
	assert_false(column_of(probe, "c")->once);
}

static void test_wheres(void **state)
{
	const struct amon_probe *probe = must_check(
	        *state, "probe p { where net; ingress { where tcp; where ip; table t by ip.src where ip.ttl > 3 {"
	                "where ip.id > 4; metric a = count() where ip.id > 5; } } egress { } }");
	const struct amon_section *ingress = probe->sections, *egress = ingress->next;
	const struct amon_table *table = ingress->tables;

	assert_int_equal(ingress->where->op, AMON_OP_AND);
	assert_int_equal(ingress->where->left->kind, AMON_VALUE_PROTOCOL);
	assert_int_equal(ingress->where->left->layers, amon_protocol_find("net")->layers);
	assert_int_equal(ingress->where->right->op, AMON_OP_AND);
	assert_int_equal(ingress->where->right->right->layers, amon_protocol_find("ip")->layers);
	assert_int_equal(egress->where->layers, amon_protocol_find("net")->layers);
	assert_int_equal(table->where->op, AMON_OP_AND);
	assert_int_equal(table->where->left->right->integer, 3);
	assert_int_equal(table->where->right->right->integer, 4);
	assert_int_equal(column_in(&table->metrics, "a")->where->right->integer, 5);
}

static void test_hooks(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "probe p { ingress { } ingress xdp as a { } ingress xdp native as b { }"
	                           "ingress xdp as c { } ingress tc as d { } egress { } ingress tc, egress { } }");
	static const struct {
		const char *name;
		enum amon_hook_kind kind;
		bool choice;
		enum amon_xdp_mode mode;
	} expected[] = {
		{ "ingress", AMON_HOOK_XDP, true, AMON_XDP_ANY },
		{ "a", AMON_HOOK_XDP, false, AMON_XDP_ANY },
		{ "b", AMON_HOOK_XDP, false, AMON_XDP_NATIVE },
		{ "c", AMON_HOOK_XDP, false, AMON_XDP_ANY },
		{ "d", AMON_HOOK_TC_INGRESS, false, AMON_XDP_ANY },
		{ "egress", AMON_HOOK_TC_EGRESS, false, AMON_XDP_ANY },
		{ "both", AMON_HOOK_TC_INGRESS, false, AMON_XDP_ANY },
	};
	const struct amon_section *section = probe->sections;

	assert_int_equal(probe->section_count, 7);
	for (size_t i = 0; i < 7; i++, section = section->next) {
		assert_string_equal(section->name, expected[i].name);
		assert_int_equal(section->hooks[0].kind, expected[i].kind);
		assert_int_equal(section->hooks[0].choice, expected[i].choice);
		assert_int_equal(section->hooks[0].mode, expected[i].mode);
		assert_int_equal(section->hook_count, i == 6 ? 2 : 1);
	}
	probe = must_check(*state, "probe p { ingress xdp generic { } }");
	assert_int_equal(probe->sections->hooks[0].mode, AMON_XDP_GENERIC);
}

static void test_settings(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "probe p \"help\" { window 10s; ingress { clock coarse; } egress { } }");

	assert_string_equal(probe->name, "p");
	assert_string_equal(probe->help, "help");
	assert_int_equal(probe->window, 10000000000);
	assert_true(probe->sections->coarse);
	assert_false(probe->sections->next->coarse);
	probe = must_check(*state, "probe p { clock coarse; ingress { } }");
	assert_true(probe->sections->coarse);
	assert_int_equal(probe->window, 0);
}

static void test_table(void **state)
{
	const struct amon_probe *probe = must_check(*state, "table t by flow, dscp = net.dscp, pre = prefix(net.src, "
	                                                    "24, 48) size 2 * 1Ki overflow drop having a > 5 "
	                                                    "top 10 by r \"help\" { metric a = count(); derive r = a * "
	                                                    "2; derive s = dscp; derive v = net.proto; }");
	const struct amon_table *table = probe->sections->tables;

	assert_string_equal(table->name, "t");
	assert_string_equal(table->help, "help");
	assert_int_equal(table->size, 2048);
	assert_int_equal(table->overflow, AMON_OVERFLOW_DROP);
	assert_int_equal(table->keys.count, 7);
	assert_string_equal(table->keys.first->name, "net.src");
	assert_false(table->keys.first->port_key);
	assert_true(column_in(&table->keys, "l4.dstport")->port_key);
	assert_int_equal(column_in(&table->keys, "pre")->type.prefix, 24);
	assert_int_equal(column_in(&table->keys, "pre")->type.prefix6, 48);
	assert_string_equal(column_in(&table->keys, "net.proto")->ipfix, "protocolIdentifier");
	assert_int_equal(table->having->op, AMON_OP_GT);
	assert_int_equal(table->top, 10);
	assert_ptr_equal(table->top_by, column_in(&table->derives, "r"));
	assert_int_equal(column_in(&table->metrics, "a")->order, 7);
	assert_ptr_equal(column_in(&table->derives, "v")->value->column, column_in(&table->keys, "net.proto"));
	probe = must_check(*state, "table t by ip.src { metric a = count(); }");
	assert_int_equal(probe->sections->tables->size, 65536);
	assert_int_equal(probe->sections->tables->overflow, AMON_OVERFLOW_OTHER);
	assert_int_equal(probe->sections->tables->top, 0);
}

/* A table's key of 64 bytes is the largest. */
static void test_key_width(void **state)
{
	must_check(*state, "table t by ipv6.src, ipv6.dst, net.src, eth.src, eth.dst, ip.ttl, net.ttl, hook.direction"
	                   "{ metric a = count(); }");
}

static void test_scopes(void **state)
{
	const struct amon_probe *probe = must_check(
	        *state, "param p = 3; probe q { let x = ip.ttl; ingress { metric a = count(); metric tcp = count();"
	                "table t by ip.src having a > p { metric a = sum(frame.len); derive r = a / ingress.a; derive "
	                "o = egress.a;"
	                "metric w = count() where x == p; } } egress { metric a = count(); } derive all = ingress.a + "
	                "egress.a; }");
	const struct amon_section *ingress = probe->sections, *egress = ingress->next;
	const struct amon_value *r = column_in(&ingress->tables->derives, "r")->value;

	assert_ptr_equal(r->left->column, column_in(&ingress->tables->metrics, "a"));
	assert_ptr_equal(r->right->column, column_in(&ingress->metrics, "a"));
	assert_ptr_equal(column_in(&ingress->tables->derives, "o")->value->column, column_in(&egress->metrics, "a"));
	assert_int_equal(ingress->tables->having->right->integer, 3);
	assert_ptr_equal(column_in(&probe->derives, "all")->value->right->column, column_in(&egress->metrics, "a"));
	assert_string_equal(column_in(&ingress->tables->metrics, "w")->where->left->field->name, "ip.ttl");
}

/* Order means nothing. */
static void test_forward_references(void **state)
{
	const struct amon_probe *probe =
	        must_check(*state, "derive c = b * 2; derive b = a + 1; let y = x + 1; let x = ip.ttl;"
	                           "metric a = sum(y);");

	assert_ptr_equal(column_of(probe, "c")->value->left->column, column_of(probe, "b"));
	assert_int_equal(column_of(probe, "a")->argument->left->kind, AMON_VALUE_FIELD);
}

static void test_sets(void **state)
{
	const struct amon_value *value = condition(*state, "tcp.dstport in {80, 443, 8000..8080}");

	assert_int_equal(value->kind, AMON_VALUE_IN);
	assert_int_equal(value->range_count, 3);
	assert_int_equal(value->ranges[2].low, 8000);
	assert_int_equal(value->ranges[2].high, 8080);
	value = condition(*state, "net.src in {10.1.2.3/8, fc00::/7, 192.0.2.1..192.0.2.9}");
	assert_int_equal(value->ranges[0].address.bytes[1], 0);
	assert_int_equal(value->ranges[0].address.prefix, 8);
	assert_int_equal(value->ranges[1].address.family, AMON_ADDRESS_IPV6);
	assert_true(value->ranges[2].is_range);
	assert_int_equal(value->ranges[2].address_high.bytes[3], 9);
	value = condition(*state, "eth.src in 00:1b:21:00:00:00/24");
	assert_int_equal(value->ranges[0].address.prefix, 24);
	value = condition(*state, "ip.src == 10.0.0.1 and prefix(ip.dst, 8) == 10.0.0.0/8");
	assert_int_equal(value->op, AMON_OP_AND);
}

/* What is no constant is compared. */
static void test_sets_of_fields(void **state)
{
	const struct amon_value *value = condition(*state, "53 in {udp.srcport, udp.dstport}");

	assert_int_equal(value->op, AMON_OP_OR);
	assert_int_equal(value->left->op, AMON_OP_EQ);
	assert_string_equal(value->right->right->field->name, "udp.dstport");
	value = condition(*state, "ip.ttl in {1, ip.id..ip.len * 0 / 1B}");
	assert_int_equal(value->left->kind, AMON_VALUE_IN);
	assert_int_equal(value->right->op, AMON_OP_AND);
}

static void test_named_sets(void **state)
{
	const struct amon_probe *probe = must_check(
	        *state, "param ports = {80, 443}; probe p { let more = {ports, 22}; let net10 = 10.0.0.0/8;"
	                "ingress { metric a = count() where tcp.dstport in more;"
	                "metric b = count() where net.src in net10; table t by x = tcp.dstport having x in ports"
	                "{ metric c = count(); } } }");

	assert_int_equal(column_of(probe, "a")->where->range_count, 3);
	assert_int_equal(column_of(probe, "a")->where->ranges[2].low, 22);
	assert_int_equal(column_of(probe, "b")->where->ranges[0].address.prefix, 8);
	assert_int_equal(probe->sections->tables->having->range_count, 2);
}

static void test_vlan(void **state)
{
	assert_true(must_check(*state, "metric a = count() where vlan;")->uses_vlan);
	assert_true(must_check(*state, "table t by vlan.id { metric a = count(); }")->uses_vlan);
	assert_true(must_check(*state, "let v = vlan.id; let w = v + 1; metric a = sum(w);")->uses_vlan);
	assert_true(must_check(*state, "let s = {vlan.id}; metric a = count() where 5 in s;")->uses_vlan);
	assert_false(must_check(*state, "let v = vlan.id; metric a = sum(ip.ttl);")->uses_vlan);
}

/* --- -D */

static const char defined[] =
        "param n = 10 \"help\"; param t = 5s; param a = 10.0.0.1; param s = {80}; param r = 50%;"
        "probe p { ingress { metric x = sum(n); metric y = count() where tcp.dstport in s;"
        "metric z = count() where ip.src == a; metric w = count() where frame.time - frame.time > t;"
        "table k by ip.src size n having x / x > r { metric c = count(); } } }";

static void test_defines(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(column_of(must_check(fixture, defined), "x")->argument->integer, 10);
	define(fixture, "n", "64Ki");
	define(fixture, "s", "{22, 1..3}");
	define(fixture, "t", "1ms");
	define(fixture, "a", "192.0.2.1");
	const struct amon_probe *probe = must_check(fixture, defined);
	assert_int_equal(column_of(probe, "x")->argument->integer, 65536);
	assert_int_equal(probe->sections->tables->size, 65536);
	assert_int_equal(column_of(probe, "y")->where->range_count, 2);
	assert_int_equal(column_of(probe, "w")->where->right->integer, 1000000);
	assert_int_equal(column_of(probe, "z")->where->right->address.bytes[0], 192);
	assert_true(fixture->defines[0].used);
}

static void test_defines_of_numbers(void **state)
{
	struct fixture *fixture = *state;

	define(fixture, "n", "1");
	define(fixture, "n", "7");
	define(fixture, "r", "0.25");
	const struct amon_probe *probe = must_check(fixture, defined);
	assert_int_equal(column_of(probe, "x")->argument->integer, 7);
	assert_true(probe->sections->tables->having->right->real == 0.25);
}

static void test_wrong_defines(void **state)
{
	static const struct {
		const char *name, *value, *message, *help;
	} cases[] = {
		{ "m", "5", "there is no such param", NULL },
		{ "thresholds", "5", "there is no such param", "`threshold`" },
		{ "threshold", "5s", "`threshold` is a number, not a time", NULL },
		{ "threshold", "{5}", "`threshold` is a number, not a set", NULL },
		{ "threshold", "ip.ttl", "is no number, time, address or set", NULL },
		{ "threshold", "5; probe x { }", "is no number, time, address or set", NULL },
		{ "threshold", "5 \"help\"", "is no number, time, address or set", NULL },
		{ "threshold", "", NULL, NULL },
		{ "threshold", "5z", NULL, NULL },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fixture->options.define_count = 0;
		define(fixture, cases[i].name, cases[i].value);
		const struct amon_probe *probe = check(fixture, "param threshold = 5; probe p { ingress { } }");
		const struct amon_diagnostic *error = find(fixture, AMON_ERROR);
		if (probe || fixture->diagnostics.errors != 1 || !matches(error->message, cases[i].message) ||
		    !matches(error->suggestion, cases[i].help))
			complain(fixture, cases[i].value);
	}
}

/* --- size */

static char *repeat(struct fixture *fixture, const char *before, const char *what, int times, const char *after)
{
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	fputs(before, to);
	for (int i = 0; i < times; i++)
		fprintf(to, what, i, i + 1);
	fputs(after, to);
	fclose(to);
	char *copy = amon_arena_copy(fixture->arena, text, length);
	free(text);
	return copy;
}

static void test_limits(void **state)
{
	struct fixture *fixture = *state;

	must_check(fixture, repeat(fixture, "", "metric m%d = count();", 1024, ""));
	assert_null(check(fixture, repeat(fixture, "", "metric m%d = count();", 1025, "")));
	assert_int_equal(fixture->diagnostics.errors, 1);
	assert_null(check(fixture, repeat(fixture, "table t by ip.src {", "metric m%d = count();", 257, "}")));
	assert_int_equal(fixture->diagnostics.errors, 1);
	must_check(fixture, repeat(fixture, "", "table t%d by ip.src { metric m = count(); }", 16, ""));
	assert_null(check(fixture, repeat(fixture, "", "table t%d by ip.src { metric m = count(); }", 17, "")));
	assert_int_equal(fixture->diagnostics.errors, 1);
	assert_null(check(fixture, repeat(fixture, "metric m = count() where ip.id in {", "%d,", 5000, "9};")));
	assert_int_equal(fixture->diagnostics.errors, 1);
}

/* Lets that need each other in a long chain, the last one first, take no more stack than there is. */
static void test_long_chains(void **state)
{
	struct fixture *fixture = *state;

	must_check(fixture, repeat(fixture, "", "let a%d = a%d;", 500, "let a500 = ip.ttl; metric m = sum(a0);"));
	assert_null(check(fixture,
	                  repeat(fixture, "", "let a%d = a%d;", 20000, "let a20000 = ip.ttl; metric m = sum(a0);")));
	assert_null(check(fixture, repeat(fixture, "", "derive a%d = a%d;", 20000, "derive a20000 = 1;")));
	assert_null(check(fixture, repeat(fixture, "", "where tcp;", 5000, "metric m = count();")));
}

/* --- the contract */

static const char *read_spec(struct fixture *fixture, const char *path, struct amon_source **source)
{
	assert_int_equal(amon_source_read(fixture->arena, path, source), 0);
	return (*source)->text;
}

/* Every example is accepted, or refused only for what comes with a later version. */
static void test_examples(void **state)
{
	struct fixture *fixture = *state;
	struct amon_source *source;
	glob_t paths;

	if (glob(AMON_SOURCE_DIR "/examples/*.amon", 0, NULL, &paths))
		return;
	for (size_t i = 0; i < paths.gl_pathc; i++) {
		check(fixture, read_spec(fixture, paths.gl_pathv[i], &source));
		for (const struct amon_diagnostic *d = fixture->diagnostics.first; d; d = d->next)
			if (d->severity == AMON_ERROR && !strstr(d->message, "later version"))
				complain(fixture, paths.gl_pathv[i]);
	}
	globfree(&paths);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wrong_names),
		TEST(test_wrong_definitions),
		TEST(test_wrong_sections),
		TEST(test_wrong_types),
		TEST(test_wrong_dimensions),
		TEST(test_wrong_histograms),
		TEST(test_wrong_tables),
		TEST(test_wrong_events),
		TEST(test_wrong_timing),
		TEST(test_wrong_memory),
		TEST(test_memory_is_shared),
		TEST(test_wrong_later),
		TEST(test_warnings),
		TEST(test_no_warnings),
		TEST(test_all_errors),
		TEST(test_broken_text),
		TEST(test_folding),
		TEST(test_division_by_zero),
		TEST(test_folding_at_export),
		TEST(test_logic),
		TEST(test_bits),
		TEST(test_dimensions),
		TEST(test_bases_at_export),
		TEST(test_result_types),
		TEST(test_units),
		TEST(test_ipfix),
		TEST(test_attributes),
		TEST(test_buckets),
		TEST(test_once),
		TEST(test_wheres),
		TEST(test_hooks),
		TEST(test_settings),
		TEST(test_table),
		TEST(test_key_width),
		TEST(test_scopes),
		TEST(test_forward_references),
		TEST(test_sets),
		TEST(test_sets_of_fields),
		TEST(test_named_sets),
		TEST(test_vlan),
		TEST(test_defines),
		TEST(test_defines_of_numbers),
		TEST(test_wrong_defines),
		TEST(test_limits),
		TEST(test_long_chains),
		TEST(test_examples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
