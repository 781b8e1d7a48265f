"""Drives the official Python client, unchanged, against a sandbox.

Arguments: the sandbox's address, its partner ID, its admin secret. Each step says what it has seen;
the first that is not as it should be ends the script with a traceback and exit code 1.
"""

import hashlib
import os
import sys
import tempfile
import time
import urllib.request

from KalturaClient import KalturaClient, KalturaConfiguration
from KalturaClient.exceptions import KalturaException
from KalturaClient.Plugins import BulkUploadCsv, Core

URL, PARTNER, SECRET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ADMIN = Core.KalturaSessionType.ADMIN
ACTIVE = Core.KalturaCategoryUserStatus.ACTIVE
NOT_ACTIVE = Core.KalturaCategoryUserStatus.NOT_ACTIVE
MEMBER = Core.KalturaCategoryUserPermissionLevel.MEMBER
MANAGER = Core.KalturaCategoryUserPermissionLevel.MANAGER
AUTOMATIC = Core.KalturaUpdateMethodType.AUTOMATIC
STATUS = Core.KalturaBatchJobStatus
OBJECTS = Core.KalturaBulkUploadObjectType
MANUAL = Core.KalturaUpdateMethodType.MANUAL


def connect():
    configuration = KalturaConfiguration()
    configuration.serviceUrl = URL
    return KalturaClient(configuration)


def step(what):
    print("ok:", what, flush=True)


def equal(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def refused(code, call, *arguments):
    try:
        answer = call(*arguments)
    except KalturaException as error:
        equal(error.code, code)
        return error
    raise AssertionError(f"{answer!r} instead of {code}")


def category(name, reference):
    it = Core.KalturaCategory()
    it.name = name
    it.referenceId = reference
    it.privacyContext = "MediaSpace"
    return it


def membership(category_id, user_id, level=MEMBER, method=AUTOMATIC):
    it = Core.KalturaCategoryUser()
    it.categoryId = category_id
    it.userId = user_id
    it.permissionLevel = level
    it.updateMethod = method
    return it


def value(enumeration):
    return enumeration.getValue() if hasattr(enumeration, "getValue") else enumeration


def sessions(client):
    ks = client.session.start(SECRET, "rollbook", ADMIN, PARTNER, 3600, "disableentitlement")
    client.setKs(ks)
    info = client.session.get(ks)
    equal(info.userId, "rollbook")
    equal(int(info.partnerId), PARTNER)
    step("session.start and session.get")

    for version, generate in [(1, client.generateSession), (2, client.generateSessionV2)]:
        made = generate(SECRET, "local", ADMIN, PARTNER, 3600, "disableentitlement")
        made = made.decode() if isinstance(made, bytes) else made
        other = connect()
        other.setKs(made)
        equal(other.session.get(made).userId, "local")
        step(f"a session of version {version}, made by the client itself")

    error = refused("START_SESSION_ERROR", client.session.start, "wrong", "rollbook", ADMIN, PARTNER)
    assert str(PARTNER) in error.message, error.message
    broken = connect()
    broken.setKs("garbage")
    refused("INVALID_KS", broken.category.list)
    nobody = connect()
    refused("SERVICE_FORBIDDEN", nobody.category.list)
    step("wrong secrets and sessions are exceptions with Kaltura's codes")


def categories(client):
    made = client.category.add(category("Biology 101", "BIO-101"))
    assert made.id > 0
    equal(made.fullName, "Biology 101")
    equal(made.privacyContexts, "MediaSpace")
    refused("DUPLICATE_CATEGORY", client.category.add, category("Biology 101", "other"))

    wanted = Core.KalturaCategoryFilter()
    wanted.referenceIdEqual = "BIO-101"
    page = client.category.list(wanted)
    equal((page.totalCount, [it.id for it in page.objects]), (1, [made.id]))

    change = Core.KalturaCategory()
    change.description = "Grüße & <Küsse>"
    equal(client.category.update(made.id, change).description, "Grüße & <Küsse>")
    equal(client.category.get(made.id).description, "Grüße & <Küsse>")
    refused("CATEGORY_NOT_FOUND", client.category.get, 999999)
    step("category.add, list, update, get")
    return made.id


def memberships(client, id):
    made = client.categoryUser.add(membership(id, "ada"))
    equal((made.categoryId, made.userId), (id, "ada"))
    equal(value(made.permissionLevel), MEMBER)
    equal(value(made.updateMethod), AUTOMATIC)
    refused("CATEGORY_USER_ALREADY_EXISTS", client.categoryUser.add, membership(id, "ADA"))
    refused("INVALID_FIELD_VALUE", client.categoryUser.add, membership(id, "no spaces"))

    wanted = Core.KalturaCategoryUserFilter()
    wanted.categoryIdEqual = id
    pager = Core.KalturaFilterPager()
    pager.pageSize, pager.pageIndex = 1, 2
    page = client.categoryUser.list(wanted, pager)
    equal((page.totalCount, [it.userId for it in page.objects]), (2, ["ada"]))
    refused("MUST_FILTER_USERS_OR_CATEGORY", client.categoryUser.list)

    change = Core.KalturaCategoryUser()
    change.permissionLevel = MANAGER
    equal(value(client.categoryUser.update(id, "ada", change).permissionLevel), MANAGER)
    change.updateMethod = MANUAL
    equal(value(client.categoryUser.update(id, "ada", change).updateMethod), MANUAL)
    refused("CANNOT_OVERRIDE_MANUAL_CHANGES", client.categoryUser.update, id, "ada", change)
    change.updateMethod = AUTOMATIC
    equal(value(client.categoryUser.update(id, "ada", change, True).updateMethod), AUTOMATIC)

    equal(value(client.categoryUser.deactivate(id, "ada").status), NOT_ACTIVE)
    equal(value(client.categoryUser.activate(id, "ada").status), ACTIVE)
    equal(client.categoryUser.get(id, "ada").permissionNames.split(",")[0], "CATEGORY_EDIT")
    equal(client.categoryUser.delete(id, "ada"), None)
    refused("INVALID_CATEGORY_USER_ID", client.categoryUser.get, id, "ada")
    refused("INVALID_USER_ID", client.categoryUser.delete, id, "nobody")
    step("categoryUser.add, list, update, activate, deactivate, get, delete")


def several_at_once(client):
    client.startMultiRequest()
    made = client.category.add(category("Chemistry 110", "CHE-110"))
    client.categoryUser.add(membership(made.id, "emil"))
    client.categoryUser.add(membership(made.id, "emil"))
    client.categoryUser.get(made.id, "emil")
    answers = client.doMultiRequest()
    equal(len(answers), 4)
    assert isinstance(answers[0], Core.KalturaCategory), answers[0]
    equal(answers[1].categoryId, answers[0].id)
    assert isinstance(answers[2], KalturaException), answers[2]
    equal(answers[2].code, "CATEGORY_USER_ALREADY_EXISTS")
    equal(answers[3].userId, "emil")
    step("a multirequest whose later calls use the results of earlier ones")


def users(client):
    new = Core.KalturaUser()
    new.id, new.firstName, new.lastName = "grace", "Grace", "Hopper"
    new.email = "grace@example.edu"
    equal(client.user.add(new).fullName, "Grace Hopper")
    refused("DUPLICATE_USER_BY_ID", client.user.add, new)
    change = Core.KalturaUser()
    change.lastName = "Murray Hopper"
    equal(client.user.update("grace", change).lastName, "Murray Hopper")
    equal(client.user.get("GRACE").id, "grace")
    wanted = Core.KalturaUserFilter()
    wanted.idIn = "grace,nobody"
    equal([it.id for it in client.user.list(wanted).objects], ["grace"])
    equal(client.user.delete("grace").id, "grace")
    refused("INVALID_USER_ID", client.user.get, "grace")
    step("user.add, update, get, list, delete")


def app_tokens(client):
    new = Core.KalturaAppToken()
    new.sessionUserId = "rollbook"
    new.sessionType = ADMIN
    new.sessionPrivileges = "disableentitlement"
    new.hashType = Core.KalturaAppTokenHashType.SHA256
    made = client.appToken.add(new)
    guest = connect()
    widget = guest.session.startWidgetSession(f"_{PARTNER}")
    guest.setKs(widget.ks)
    digest = hashlib.sha256((widget.ks + made.token).encode()).hexdigest()
    session = guest.appToken.startSession(made.id, digest)
    guest.setKs(session.ks)
    equal(session.userId, "rollbook")
    assert guest.category.list().totalCount >= 1
    refused("INVALID_APP_TOKEN_HASH", guest.appToken.startSession, made.id, digest)
    client.appToken.delete(made.id)
    refused("INVALID_KS", guest.category.list)
    guest.setKs(widget.ks)
    refused("APP_TOKEN_ID_NOT_FOUND", guest.appToken.startSession, made.id, digest)
    step("appToken.add, startSession, delete")


def hand_in(client, rows, *data):
    """Hands in a file as people do: one on the disk, with a name of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "members.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(row + "\n" for row in rows))
        with open(path, "rb") as file:
            return client.categoryUser.addFromBulkUpload(file, *data)


def until_over(get, id):
    over = [STATUS.FINISHED, STATUS.FAILED, STATUS.ABORTED, STATUS.FATAL, STATUS.FINISHED_PARTIALLY]
    seen, patience = [], time.monotonic() + 30
    while time.monotonic() < patience:
        job = get(id)
        now = value(job.status)
        if seen[-1:] != [now]:
            seen.append(now)
        if now in over:
            return job, seen
        time.sleep(0.02)
    raise AssertionError(f"bulk upload {id} has only been {seen}")


def served(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def members(client, id):
    wanted = Core.KalturaCategoryUserFilter()
    wanted.categoryIdEqual = id
    wanted.orderBy = "+createdAt"
    found = client.categoryUser.list(wanted).objects
    return {it.userId: (value(it.permissionLevel), value(it.updateMethod)) for it in found}


def bulk_uploads(client, id):
    before = members(client, id)
    header = "*action,categoryId,userId,permissionLevel,updateMethod"
    rows = [f"1,{id},hedy,3,1", f"1,{id},lise,0,1"]
    new = hand_in(client, [header, *rows])
    equal((value(new.status), new.fileName), (STATUS.DONT_PROCESS, ""))
    assert new.id > 0
    # The plugin of this name has taken the place of the older service in the client.
    plugin = client.bulkUpload.bulk
    job, seen = until_over(plugin.get, new.id)
    equal((seen[-1], job.fileName), (STATUS.FINISHED, "members.csv"))
    equal((job.numOfObjects, value(job.bulkUploadObjectType)), (2, OBJECTS.CATEGORY_USER))
    equal((job.uploadedByUserId, job.error), ("rollbook", "Finished successfully"))
    equal(served(plugin.serveLog(new.id)), "".join(f"{row},2,,1\n" for row in rows))
    equal(served(plugin.serve(new.id)), "".join(row + "\n" for row in [header, *rows]))
    equal(members(client, id), {**before, "hedy": (MEMBER, AUTOMATIC), "lise": (MANAGER, AUTOMATIC)})
    step("categoryUser.addFromBulkUpload, bulkUpload.bulk.get, serveLog, serve")

    # Some rows come to nothing; the older service sees the same job.
    data = BulkUploadCsv.KalturaBulkUploadCsvJobData()
    data.fileName = "leavers.csv"
    rows = [f"3,{id},hedy", f"3,{id},nobody"]
    new = hand_in(client, ["*action,categoryId,userId", *rows], data)
    older = Core.KalturaBulkUploadService(client)
    job, seen = until_over(older.get, new.id)
    equal((seen[-1], job.fileName, job.numOfObjects), (STATUS.FINISHED_PARTIALLY, "leavers.csv", 1))
    log = served(older.serveLog(new.id)).splitlines()
    equal(log[0], f"{rows[0]},2,,1")
    assert log[1].startswith(f"{rows[1]},1,,0,"), log
    equal(len(log), 2)
    equal(members(client, id), {**before, "lise": (MANAGER, AUTOMATIC)})
    equal([it.id for it in plugin.list().objects][0], new.id)
    refused("BULK_UPLOAD_NOT_FOUND", older.get, 999999)
    equal(served(plugin.serveLog(999999)), "")
    step("a file with a row that comes to nothing, by the older bulkUpload service")


def main():
    client = connect()
    sessions(client)
    id = categories(client)
    memberships(client, id)
    several_at_once(client)
    bulk_uploads(client, id)
    users(client)
    app_tokens(client)
    client.category.delete(id)
    refused("CATEGORY_NOT_FOUND", client.category.get, id)
    step("category.delete")


main()
