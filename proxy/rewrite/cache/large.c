/*
 * A large text on its way through the cache. What takes time is done elsewhere than on the worker's
 * thread; what belongs to the worker (the cache, the counts of templates and resolutions) is only
 * touched there, between the steps.
 */
#include "cache.h"

#include "segue/base/memory.h"

#include <stdlib.h>

enum step {
    STEP_READ,  /* its shape is to be read */
    STEP_FILL,  /* the shape has a template */
    STEP_PARSE, /* the shape is not known: a template is to be made */
    STEP_DONE
};

struct rewrite_job {
    enum step step;
    struct rewrite_context context; /* with references of its own */
    struct snapshot *snapshot;
    struct resolution *resolution;
    struct cache_key key;
    char *text;
    size_t length;
    bool has_shape;
    bool makes_template; /* no text of this shape has come yet */
    struct token_shape shape;
    struct template *template;
    struct rewrite *result;
};

static struct slice text_of(const struct rewrite_job *job)
{
    return (struct slice){job->text, job->length};
}

struct rewrite_job *rewrite_job_new(const struct rewrite_context *context, struct slice text)
{
    struct rewrite_job *job = NEW(struct rewrite_job);
    job->context = *context;
    job->context.snapshot = job->snapshot = snapshot_get((struct snapshot *)context->snapshot);
    if (context->resolution)
        job->context.resolution = job->resolution =
            resolution_get((struct resolution *)context->resolution);
    job->key = cache_key_of(context);
    job->text = memory_string_range(text.data, text.length);
    job->length = text.length;
    token_shape_init(&job->shape);
    return job;
}

void rewrite_job_free(struct rewrite_job *job, struct resolution_set *resolutions)
{
    if (!job)
        return;
    snapshot_put(job->snapshot);
    resolution_put(resolutions, job->resolution);
    token_shape_release(&job->shape);
    template_put(job->template);
    rewrite_put(job->result);
    free(job->text);
    free(job);
}

bool rewrite_job_is_for(const struct rewrite_job *job, const struct rewrite_context *context,
                        struct slice text)
{
    struct cache_key key = cache_key_of(context);
    return memcmp(&job->key, &key, sizeof key) == 0 && slice_equal(text_of(job), text);
}

static void parse(struct rewrite_job *job)
{
    if (job->makes_template)
        job->template = template_new(&job->context, text_of(job), &job->shape);
    job->result = job->template ? template_fill(job->template, text_of(job), &job->shape)
                                : rewrite_text(&job->context, text_of(job));
}

void rewrite_job_run(struct rewrite_job *job)
{
    switch (job->step) {
    case STEP_READ:
        job->has_shape = cache_read_shape(&job->shape, &job->context, text_of(job));
        if (!job->has_shape)
            parse(job);
        return;
    case STEP_FILL:
        job->result = template_fill(job->template, text_of(job), &job->shape);
        return;
    case STEP_PARSE:
        parse(job);
        return;
    case STEP_DONE:
        break;
    }
    BUG("a job that is done is run");
}

/* The shape is read: what comes next is for the cache to say. */
static enum step step_after_reading(struct rewrite_job *job, struct rewrite_cache *cache)
{
    if (!job->has_shape)
        return STEP_DONE;
    struct template *template;
    job->makes_template = !cache_find_template(cache, job->key, &job->shape, &template);
    if (!template)
        return STEP_PARSE;
    job->template = template_get(template);
    return STEP_FILL;
}

bool rewrite_job_advance(struct rewrite_job *job, struct rewrite_cache *cache)
{
    bool is_hit = job->step == STEP_FILL;
    if (job->step == STEP_READ)
        job->step = step_after_reading(job, cache);
    else
        job->step = STEP_DONE;
    if (job->step != STEP_DONE)
        return false;
    cache_count(cache, is_hit);
    if (job->makes_template)
        cache_add_template(cache, job->key, &job->shape, job->template);
    return true;
}

struct rewrite *rewrite_job_result(struct rewrite_job *job, struct rewrite_cache *cache)
{
    BUG_ON(job->step != STEP_DONE);
    return cache_keep(cache, &job->key, text_of(job), rewrite_get(job->result));
}
