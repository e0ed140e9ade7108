/* SPDX-License-Identifier: Apache-2.0 */
#include "template.h"

#include <assert.h>
#include <string.h>

#include "text.h"

#define MAX_NESTING 16

struct state {
	FILE *out;
	const struct amon_template_user *user;
	bool keeps[MAX_NESTING]; /* of each open `if`, those around it included */
	int depth;
};

static const char *find(const char *name)
{
	for (const struct amon_text *text = amon_templates; text->name; text++)
		if (!strcmp(text->name, name))
			return text->text;
	assert(!"no such template");
	return "";
}

static bool keeps(const struct state *state)
{
	return !state->depth || state->keeps[state->depth - 1];
}

static bool any_holds(const struct state *state, char *words)
{
	char *rest;

	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (state->user->holds(state->user->data, word))
			return true;
	return false;
}

static void open_if(struct state *state, char *words)
{
	bool around = keeps(state);

	assert(state->depth < MAX_NESTING);
	state->keeps[state->depth++] = around && any_holds(state, words);
}

static void turn_else(struct state *state)
{
	bool around = state->depth < 2 || state->keeps[state->depth - 2];

	state->keeps[state->depth - 1] = around && !state->keeps[state->depth - 1];
}

static void directive(struct state *state, char *text, const char *indent)
{
	char *arguments = strchr(text, ' ');

	if (arguments)
		*arguments++ = '\0';
	if (!strcmp(text, "if"))
		open_if(state, arguments);
	else if (!strcmp(text, "else"))
		turn_else(state);
	else if (!strcmp(text, "end"))
		state->depth--;
	else if (keeps(state))
		state->user->expand(state->user->data, state->out, text, arguments ? arguments : "", indent);
}

static void line(struct state *state, const char *start, size_t length)
{
	size_t tabs = strspn(start, "\t");
	char text[256], indent[16];

	if (length > tabs + 5 && length - tabs < sizeof(text) && tabs < sizeof(indent) &&
	    !strncmp(start + tabs, "/*@", 3)) {
		memcpy(indent, start, tabs);
		indent[tabs] = '\0';
		memcpy(text, start + tabs + 3, length - tabs - 5);
		text[length - tabs - 5] = '\0';
		directive(state, text, indent);
	} else if (keeps(state)) {
		fwrite(start, 1, length, state->out);
		fputc('\n', state->out);
	}
}

void amon_template(FILE *out, const char *name, const struct amon_template_user *user)
{
	struct state state = { .out = out, .user = user };
	const char *text = find(name);

	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		if (strncmp(text, "/* SPDX-", 8) != 0)
			line(&state, text, end - text);
}
