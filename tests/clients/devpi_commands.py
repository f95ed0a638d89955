"""What is asked of both servers, in this order: the arguments of `devpi`, one command a line.

{url} is the server, {root} root's password, {dist} a directory of files to upload, {f[NAME]} where such a file lies in an
index. `<< WORDS` types each word as a line. `in project:` runs in a source tree. Empty lines and # are for the reader.
"""

COMMANDS = """
# Nobody is logged in, and there is no server yet.
use
user
index
list
login alice --password=alices-word
use {url}/no/such
use {url}
use --urls
use -l
user
user -l
user root
index
index root/pypi
list
getjson /
getjson /root
getjson /no/such
upload {dist}/hello-1.0-py3-none-any.whl
user -c eve password=eves-word
index -c root/own
index -c eve/own
logoff
login root --password=wrong
login nobody --password=nobody
login root --password={root}
user --delete -y eve

# Users.
user
user -l
user -c alice password=alices-word email=alice@example.com
user -c alice password=again
user -c bob password=bobs-word title=Bob
user -c bad+name password=bads-word
user -c bad/name password=bads-word
user -c nobody colour=red password=nobodys-word
user -c nobody email=nobody@example.com << longer-word longer-word
user -l
user alice
user nobody
user nosuch
user -m alice title=Alice description=Builds-things
user -m alice colour=red
user -m nosuch title=x
user -m alice email=
user alice
passwd nobody << other-word-1 other-word-1
login nobody --password=longer-word
login nobody --password=other-word-1
user -m alice title=Mine
user --delete -y bob
user --delete -y nobody
user nobody
getjson /alice
logoff
logoff
login root --password={root}
user -m root password=
user -m root password={root}
user --delete -y root
login alice --password=wrong
login alice --password=alices-word

# Indexes.
index -l
index -c dev
index -c dev
index -c alice/dev
index -c nosuch/dev
index -c bob/dev
index -c alice/prod bases=alice/dev volatile=False title=Production acl_upload=alice,bob
index -c alice/mine volatile=maybe
index -c alice/mine bases=alice/nosuch
index -c alice/mine bases=nonsense
index -c alice/mine colour=red
index -c alice/mine type=nosuch
index -c alice/bad+name
index -c alice/mirror type=mirror mirror_url=http://127.0.0.1:9/simple/ mirror_cache_expiry=600 volatile=False
index -c alice/mirror2 type=mirror mirror_url=nonsense
index alice/mirror
index alice/mirror mirror_cache_expiry=60
index alice/mirror mirror_cache_expiry-=
index alice/mirror acl_upload=alice
index alice/mirror mirror_url=ftp://127.0.0.1/
index alice/nosuch
index alice/nosuch title=x
index alice/dev
index -l
index -l bob
index -l nosuch
use alice/nosuch
use alice/dev
use
index
index bases=root/pypi
index title=Development
index description=What-is-built mirror_whitelist=beta
index mirror_whitelist+=gamma
index mirror_whitelist+=gamma
index mirror_whitelist-=beta
index mirror_whitelist-=nosuch
index acl_upload+=bob,:authenticated:
index acl_upload-=:AUTHENTICATED:
index acl_upload=alice
index acl_toxresult_upload=:anonymous:
index mirror_whitelist_inheritance=union
index mirror_whitelist_inheritance=nonsense
index mirror_whitelist_inheritance-=
index colour=red
index colour+=red
index title-=
index description-=
index bases=alice/dev
index bases=root/pypi,alice/nosuch
index bases=root/pypi
index type=mirror
index volatile=False
index volatile=yes
index mirror_whitelist=
index dev
getjson alice/dev
getjson /alice/dev?no_projects=
index root/pypi title=Mine
index --delete -y root/pypi
patchjson /alice/dev {dist}/good.json
patchjson /alice/dev {dist}/bad.json
patchjson /alice/dev {dist}/operations.json
patchjson /alice/nosuch {dist}/good.json
use -l
use -l -u alice

# Uploads.
list
list hello
list beta
list --ignore-bases beta
list nosuch
upload {dist}/hello-1.0-py3-none-any.whl {dist}/hello-1.0.tar.gz {dist}/hello-1.0.doc.zip
upload {dist}/hello-1.0-py3-none-any.whl
upload {dist}/other/hello-1.0-py3-none-any.whl
upload {dist}/hello-1.0-py3-none-any.whl
upload --from-dir {dist}/many
upload --from-dir --only-latest {dist}/many --dry-run
upload {dist}/nosuch-1.0-py3-none-any.whl
upload {dist}/wrong/hello-9.0-py3-none-any.whl
upload {dist}/wrong/hello-9.1-py3-none-any.whl
upload {dist}/wrong/broken-1.0-py3-none-any.whl
upload {dist}/wrong/nameless.doc.zip
upload {dist}/Some.Thing-1.0.tar.gz
in project: upload --no-vcs --no-isolation --wheel
in project: upload --no-vcs --no-isolation --wheel --dry-run
list
list -v
list -v --all
list hello
list hello --all
list hello==1.0
list hello>=1.1
list --index alice/prod hello
list --index root/pypi beta
list Some_Thing
list built
list many
list many --all
getjson hello
getjson hello/1.0
getjson hello/nosuch
getjson /alice/dev/many?ignore_bases=
getjson {url}/alice/dev/hello/1.1
getjson {f[hello-1.0-py3-none-any.whl]}
getjson /alice/dev/nosuch
list -v --index alice/prod

# The mirror.
refresh alpha
refresh nosuch
use root/pypi
upload {dist}/hello-1.0-py3-none-any.whl
index
list beta
list beta --all
list gamma
getjson gamma/2.0
getjson beta/1.0
getjson nosuch
refresh beta
push beta==1.0 alice/prod
push beta==7.0 alice/prod
push nosuch==1.0 alice/prod
remove -y beta==1.0
upload --index alice/dev {dist}/hello-1.2-py3-none-any.whl
upload --index root/pypi {dist}/hello-1.2-py3-none-any.whl

# Pushing.
use alice/dev
push hello==1.0 alice/prod
push hello==1.0 alice/prod
push --only-docs hello==1.1 alice/prod
push --no-docs hello==1.1 alice/prod
push hello-1.1 alice/prod
push hello alice/prod
push hello==1.1 nosuch/prod
push hello==1.1 alice/nosuch
push hello==1.1 root/pypi
push hello==7.0 alice/prod
push --no-docs --only-docs hello==1.1 alice/prod
push --index alice/prod hello==1.0 alice/dev
upload {dist}/other/hello-1.0-py3-none-any.whl
push hello==1.0 alice/prod
list --index alice/prod hello
getjson /alice/prod/hello/1.0
getjson /alice/prod/beta/1.0

# An index that keeps what it has.
use alice/prod
upload {dist}/hello-1.0-py3-none-any.whl
upload {dist}/other/hello-1.0-py3-none-any.whl
upload {dist}/hello-1.0.doc.zip
upload {dist}/other/hello-1.0.doc.zip
remove -y hello==1.0
remove -y hello
remove -y {url}/alice/prod/{f[hello-1.0-py3-none-any.whl]}
remove -y --force {url}/alice/prod/{f[hello-1.0-py3-none-any.whl]}
list hello
remove -y --force hello==1.0
remove -y --force hello
list
index --delete -y alice/prod

# Tests.
use alice/dev
upload {dist}/tested-1.0.tar.gz
test --list tested
test tested
test nosuch
test hello
list tested -t
list tested -f
getjson tested/1.0

# Others' indexes.
login bob --password=bobs-word
login root --password={root}
user -c bob password=bobs-word
use alice/dev
upload {dist}/bobs-1.0-py3-none-any.whl
remove -y many==0.2
login bob --password=bobs-word
user alice
user -m alice title=Bobs
passwd alice << bobs-word bobs-word
user --delete -y alice
user -c carol password=carols-word
index -c alice/bobs
index alice/dev title=Bobs
index --delete -y alice/dev
upload {dist}/bobs-1.0-py3-none-any.whl
remove -y hello
push hello==1.2 alice/prod
index -c bob/dev bases=alice/dev
use bob/dev
list hello
list -v
upload {dist}/bobs-1.0-py3-none-any.whl
upload {dist}/hello-1.2-py3-none-any.whl
list hello --all
getjson hello/1.2
push bobs==1.0 alice/dev
push hello==1.2 bob/dev
logoff
use alice/dev
upload {dist}/bobs-1.0-py3-none-any.whl
remove -y hello
push hello==1.2 bob/dev
list hello
index title=x
index --delete -y alice/dev
user -m alice title=x
user --delete -y bob

# Removing.
login alice --password=alices-word
remove hello==1.2 << no
remove -y hello==1.2
remove -y hello==1.2
remove -y {url}/alice/dev/{f[hello-1.1-py3-none-any.whl]}
remove -y {url}/alice/dev/{f[hello-1.1-py3-none-any.whl]}
remove -y {url}/alice/dev/+f/000/0000000000000/hello-1.1-py3-none-any.whl
remove -y many>=1.1
list many --all
remove -y nosuch
remove -y beta
remove -y hello
remove -y hello
list hello
list
upload {dist}/hello-1.0-py3-none-any.whl
list hello
index --delete -y alice/nosuch
index --delete -y alice/mirror
index --delete -y alice/prod
index alice/prod volatile=True
index --delete alice/prod << no
index --delete -y alice/prod
index -l
passwd << alices-new-word alices-new-word
login alice --password=alices-word
login alice --password=alices-new-word
user --delete -y alice
index alice/mirror volatile=True
index --delete -y alice/mirror
user --delete -y alice
login alice --password=alices-new-word
index alice/dev
login root --password={root}
user --delete -y bob
user --delete -y carol
user -l
use -l
use --delete
use
"""
