import pytest
@pytest.mark.parametrize("key,value",[("engine.precision","bf16"),("engine.channels_last",False),("classifier.lr",10.0),("classifier.batch",300),("classifier.steps",1),("classifier.ema",0.999),("data.holdout",0.49),("data.holdout",0.001),("dann.batches","apart"),("dann.reversal",100.0)])
def test_probe(workspace, hw2, key, value):
    workspace.change(key, value)
    for c in (["train_classifier","handwritten"],["train_dann","blended-handwritten"],["evaluate","dann","blended-handwritten"],["tsne","dann","blended-handwritten"],["evaluate_classifier","handwritten"]):
        o=hw2(*c)
        print(key,value,c[0],o.status,o.problems[:2])
        assert o.status in (0,2)
@pytest.mark.filterwarnings("default")
def test_compile(workspace, hw2):
    workspace.change("engine.compile", True)
    o=hw2("train_dann","blended-handwritten"); print(o)
    o=hw2("evaluate","dann","blended-handwritten"); print(o)
